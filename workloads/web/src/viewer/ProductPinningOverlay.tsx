/** What the host holds up: the newest pin, over the picture. */

import type { Product } from "@/api/schemas";
import { Button, Price, ProductImage } from "@/design/ui";
import { useTranslation } from "@/i18n";
import { localTitle } from "@/i18n/format";
import type { Pin } from "@/room/state";
import styles from "./ProductPinningOverlay.module.css";

interface ProductPinningOverlayProps {
  pin: Pin;
  product: Product | undefined;
  onSale: boolean;
  onSee(sku: string): void;
}

export function ProductPinningOverlay({ pin, product, onSale, onSee }: ProductPinningOverlayProps) {
  const { t, language } = useTranslation();
  const price = pin.price ?? product?.price;
  return (
    <section
      className={styles.pin}
      data-testid="pin-card"
      data-sku={pin.sku}
      aria-label={t("product.pinned")}
    >
      <ProductImage src={pin.image || product?.image} size={52} />
      <div className={styles.what}>
        <p className={styles.kicker}>{onSale ? t("product.onSale") : t("product.pinned")}</p>
        <h3>{localTitle(product ?? pin, language)}</h3>
        {price && !onSale && <Price price={price} list={pin.list_price ?? product?.list_price} />}
      </div>
      <Button tone="plain" className={styles.see} onClick={() => onSee(pin.sku)}>
        {t("product.see")}
      </Button>
    </section>
  );
}
