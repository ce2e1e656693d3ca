/** The flash sale as a market ticket: article, price, clock, what is left, and the one button. */
import { useEffect, useRef } from "react";
import type { Product, Sale, SaleItem } from "@/api/schemas";
import { Price, ProductImage } from "@/design/ui";
import { useTranslation } from "@/i18n";
import { formatCount, localTitle } from "@/i18n/format";
import { BuyButton } from "./BuyButton";
import { buttonView } from "./buy";
import { FlashSaleTimer } from "./FlashSaleTimer";
import { InstantCheckout } from "./InstantCheckout";
import styles from "./SaleTicket.module.css";
import { useBuy } from "./useBuy";
import { useCheckout } from "./useCheckout";
import { useServerNow } from "./useServerNow";

interface SaleTicketProps {
  sale: Sale;
  item: SaleItem;
  /** The catalogue's entry of the article, for its name in the viewer's language and its picture. */
  product: Product | undefined;
}

export default function SaleTicket({ sale, item, product }: SaleTicketProps) {
  const { t, language } = useTranslation();
  const purchase = useBuy(sale, item.sku);
  const view = buttonView(purchase.state, sale, item.sku, useServerNow());
  const { checkout, open, close } = useCheckout();
  const shown = {
    title: localTitle(product ?? item, language),
    image: item.image || product?.image || undefined,
  };

  const { kind } = purchase.state;
  const before = useRef(kind);
  useEffect(() => {
    if (before.current === "waiting" && kind === "reserved") open(item.sku);
    before.current = kind;
  }, [kind, open, item.sku]);

  const ended = ["closed", "paid"].includes(view);
  return (
    <section className={styles.ticket} aria-label={t("sale.title")} data-view={view}>
      <ProductImage src={shown.image} size={64} />
      <div className={styles.what}>
        <p className={styles.kicker}>
          <span>{t("sale.title")}</span>
          {!ended && <Clock sale={sale} waits={view === "countdown"} />}
        </p>
        <h3>{shown.title}</h3>
        <Price price={item.price} list={item.list_price} />
      </div>
      <Stock item={item} />
      <BuyButton purchase={purchase} view={view} item={item} onOpenCheckout={() => open(item.sku)} />
      <InstantCheckout
        open={checkout === item.sku}
        onClose={close}
        purchase={purchase}
        view={view}
        item={item}
        title={shown.title}
        image={shown.image}
      />
    </section>
  );
}

function Clock({ sale, waits }: { sale: Sale; waits: boolean }) {
  const { t } = useTranslation();
  const now = useServerNow(1_000);
  const endsSoon = !waits && sale.ends_at_ms - now < 24 * 3_600_000 && now >= sale.starts_at_ms;
  if (!waits && !endsSoon) return null;
  return (
    <span className={styles.clock}>
      {waits ? t("sale.startsIn") : t("sale.endsIn")}{" "}
      <FlashSaleTimer targetMs={waits ? sale.starts_at_ms : sale.ends_at_ms} announce={waits} />
    </span>
  );
}

function Stock({ item }: { item: SaleItem }) {
  const { t, language } = useTranslation();
  const left = Math.max(0, item.left);
  return (
    <div className={styles.stock}>
      <span className={styles.bar} aria-hidden="true">
        <span style={{ width: `${(100 * left) / Math.max(1, item.stock)}%` }} />
      </span>
      <span>
        {t("sale.left", {
          left: formatCount(left, language),
          stock: formatCount(item.stock, language),
        })}
      </span>
      <span>{t("sale.limit", { count: item.per_user_limit })}</span>
    </div>
  );
}
