"""The ledger's audit: one query that must return no row, whatever happened before."""

import asyncpg

AUDIT = """
SELECT 'oversold' AS finding, b.sale_id::text AS about, b.sku AS detail
  FROM shop.sku_bucket b WHERE b.reserved + b.sold > b.stock OR b.reserved < 0 OR b.sold < 0
UNION ALL
SELECT 'counts differ from orders', b.sale_id::text, b.sku
  FROM shop.sku_bucket b
  LEFT JOIN LATERAL (
       SELECT coalesce(sum(l.qty) FILTER (WHERE o.status = 'held'), 0) AS held,
              coalesce(sum(l.qty) FILTER (WHERE o.status = 'paid'), 0) AS paid
         FROM shop.orders o JOIN shop.order_lines l ON l.order_id = o.id
        WHERE o.sale_id = b.sale_id AND l.sku = b.sku AND l.bucket = b.bucket) t ON true
 WHERE t.held <> b.reserved OR t.paid <> b.sold
UNION ALL
SELECT 'buyer has more than allowed', y.sale_id::text, y.user_id
  FROM shop.buyer y JOIN shop.sale_item i USING (sale_id, sku) WHERE y.units > i.per_user_limit OR y.units < 0
UNION ALL
SELECT 'buyer differs from orders', y.sale_id::text, y.user_id
  FROM shop.buyer y
 WHERE y.units <> (SELECT coalesce(sum(l.qty), 0) FROM shop.orders o JOIN shop.order_lines l ON l.order_id = o.id
                    WHERE o.sale_id = y.sale_id AND o.user_id = y.user_id AND l.sku = y.sku
                      AND o.status IN ('held', 'paid'))
UNION ALL
SELECT 'paid without payment', o.id::text, o.status FROM shop.orders o
 WHERE o.status = 'paid' AND NOT EXISTS (SELECT FROM money.payments p WHERE p.order_id = o.id)
UNION ALL
SELECT 'payment without paid order', p.id::text, o.status FROM money.payments p JOIN shop.orders o ON o.id = p.order_id
 WHERE p.status = 'captured' AND o.status <> 'paid'
UNION ALL
SELECT 'entries do not balance', e.transaction_id::text, e.currency
  FROM money.entries e GROUP BY e.transaction_id, e.currency HAVING sum(e.amount) <> 0
UNION ALL
SELECT 'order without line', o.id::text, o.status FROM shop.orders o
 WHERE NOT EXISTS (SELECT FROM shop.order_lines l WHERE l.order_id = o.id)
"""


async def findings(pool: asyncpg.Pool) -> list[str]:
    """What is wrong in the ledger, one line each; empty when all is well."""
    return [f"{row['finding']}: {row['about']} {row['detail']}" for row in await pool.fetch(AUDIT)]
