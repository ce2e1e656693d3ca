/** The products with one button each: on the screen, or off it. */

import { Pin, PinOff } from "lucide-react";
import { useState } from "react";
import type { Product } from "@/api/schemas";
import { Button, Panel, Price, ProductImage } from "@/design/ui";
import { useTranslation } from "@/i18n";
import { formatCount, localTitle } from "@/i18n/format";
import { useRoom, useRoomState } from "@/room/RoomProvider";
import { uuid } from "@/room/uuid";
import styles from "./StreamingStudio.module.css";

export function PinBoard({ products }: { products: Product[] }) {
  const { t, language } = useTranslation();
  const { client } = useRoom();
  const pins = useRoomState((state) => state.pins);
  const [busy, setBusy] = useState<string | null>(null);
  const [problem, setProblem] = useState("");

  const publish = (event: "pin" | "unpin", product: Product) => {
    setBusy(product.sku);
    setProblem("");
    const data = event === "pin" ? pinData(product) : { sku: product.sku };
    client
      .publish(event, data, uuid())
      .catch((error: unknown) => setProblem(error instanceof Error ? error.message : t("error.generic")))
      .finally(() => setBusy(null));
  };

  return (
    <Panel title={t("studio.products")} aside={<span>{t("product.count", { count: products.length })}</span>}>
      {problem && (
        <p className={styles.problem} role="alert">
          {t("studio.pinFailed", { reason: problem })}
        </p>
      )}
      <ul className={styles.products}>
        {products.map((product) => {
          const pinned = pins.some((pin) => pin.sku === product.sku);
          return (
            <li key={product.sku} data-pinned={pinned}>
              <ProductImage src={product.image} size={52} />
              <div>
                <b>{localTitle(product, language)}</b>
                <Price price={product.price} list={product.list_price} />
                <small>
                  {product.sku} · {formatCount(product.stock ?? 0, language)}
                </small>
              </div>
              <Button
                tone={pinned ? "plain" : "accent"}
                disabled={busy === product.sku}
                data-testid={`pin-${product.sku}`}
                onClick={() => publish(pinned ? "unpin" : "pin", product)}
              >
                {pinned ? <PinOff aria-hidden="true" size={18} /> : <Pin aria-hidden="true" size={18} />}
                {pinned ? t("studio.unpin") : t("studio.pin")}
              </Button>
            </li>
          );
        })}
      </ul>
    </Panel>
  );
}

function pinData(product: Product): Record<string, unknown> {
  return {
    sku: product.sku,
    title: product.title,
    price: product.price,
    image: product.image ?? "",
    ...(product.titles ? { titles: product.titles } : {}),
    ...(product.list_price ? { list_price: product.list_price } : {}),
  };
}
