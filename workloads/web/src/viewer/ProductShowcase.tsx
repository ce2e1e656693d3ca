/** The table with everything on it: a list, one product closer, and what else people looked at. */
import { useQuery } from "@tanstack/react-query";
import { ChevronLeft } from "lucide-react";
import { useEffect } from "react";
import { api } from "@/api/client";
import type { Product, Sale } from "@/api/schemas";
import { Button, Price, ProductImage } from "@/design/ui";
import { useTranslation } from "@/i18n";
import { localTitle } from "@/i18n/format";
import { useRoom } from "@/room/RoomProvider";
import styles from "./ProductShowcase.module.css";

interface ProductShowcaseProps {
  products: Product[];
  sale: Sale | null;
  /** The product that is looked at, or null for the list. */
  selected: string | null;
  onSelect(sku: string | null): void;
}

export default function ProductShowcase({ products, sale, selected, onSelect }: ProductShowcaseProps) {
  const { t } = useTranslation();
  const product = products.find((item) => item.sku === selected);
  if (product) return <Closer product={product} sale={sale} onSelect={onSelect} />;
  if (!products.length) return <p className={styles.none}>{t("product.none")}</p>;
  return (
    <ul className={styles.list}>
      {products.map((item) => (
        <li key={item.sku}>
          <Row product={item} sale={sale} onSelect={onSelect} />
        </li>
      ))}
    </ul>
  );
}

function Row({
  product,
  sale,
  onSelect,
}: {
  product: Product;
  sale: Sale | null;
  onSelect(sku: string): void;
}) {
  const { t, language } = useTranslation();
  const onSale =
    sale?.items.some((item) => item.sku === product.sku) && !["Closed", "Settled"].includes(sale.phase);
  return (
    <button type="button" className={styles.row} onClick={() => onSelect(product.sku)}>
      <ProductImage src={product.image} size={64} />
      <span>
        <b>{localTitle(product, language)}</b>
        <Price price={product.price} list={product.list_price} />
        {onSale && <small className={styles.badge}>{t("product.onSale")}</small>}
        {product.stock === 0 && <small className={styles.badge}>{t("product.soldOut")}</small>}
      </span>
    </button>
  );
}

function Closer({
  product,
  sale,
  onSelect,
}: {
  product: Product;
  sale: Sale | null;
  onSelect(sku: string | null): void;
}) {
  const { t, language } = useTranslation();
  const room = useRoom();
  useEffect(() => {
    room
      .token()
      .then((token) => api.viewed(room.stream, product.sku, token))
      // A view that is not counted changes nothing for the viewer.
      .catch(() => undefined);
  }, [room, product.sku]);
  return (
    <article className={styles.closer}>
      <Button tone="plain" className={styles.back} onClick={() => onSelect(null)}>
        <ChevronLeft aria-hidden="true" size={18} /> {t("product.tray")}
      </Button>
      <div className={styles.hero}>
        <ProductImage src={product.image} size={240} />
      </div>
      <h3>{localTitle(product, language)}</h3>
      <Price price={product.price} list={product.list_price} />
      {product.description && <p lang="en">{product.description}</p>}
      <AlsoSeen sku={product.sku} sale={sale} onSelect={onSelect} />
    </article>
  );
}

function AlsoSeen({ sku, sale, onSelect }: { sku: string; sale: Sale | null; onSelect(sku: string): void }) {
  const { t } = useTranslation();
  const { stream } = useRoom();
  const found = useQuery({
    queryKey: ["recommendations", stream, sku],
    queryFn: ({ signal }) => api.recommendations(stream, sku, { signal }),
    staleTime: 60_000,
  });
  const items = found.data?.items ?? [];
  if (!items.length) return null;
  return (
    <section className={styles.also}>
      <h4>{found.data?.source === "model" ? t("product.alsoModel") : t("product.alsoPopular")}</h4>
      <ul className={styles.list}>
        {items.map((item) => (
          <li key={item.sku}>
            <Row product={item} sale={sale} onSelect={onSelect} />
          </li>
        ))}
      </ul>
    </section>
  );
}
