/** Paying in a sheet over the running show: what, how much, how long it is held, one button. */
import { lazy, Suspense } from "react";
import type { SaleItem } from "@/api/schemas";
import { Button, Price, ProductImage, Spinner } from "@/design/ui";
import { useTranslation } from "@/i18n";
import { formatMoney } from "@/i18n/format";
import { useWords } from "./BuyButton";
import type { ButtonView } from "./buy";
import { useHoldTime } from "./FlashSaleTimer";
import styles from "./InstantCheckout.module.css";
import type { Purchase } from "./useBuy";

const Sheet = lazy(() => import("@/design/Sheet"));

interface InstantCheckoutProps {
  open: boolean;
  onClose(): void;
  purchase: Purchase;
  view: ButtonView;
  item: SaleItem;
  title: string;
  image: string | undefined;
}

export function InstantCheckout({ open, onClose, purchase, view, item, title, image }: InstantCheckoutProps) {
  const { t, language } = useTranslation();
  const words = useWords(view, purchase);
  const { state } = purchase;
  if (!open) return null;
  return (
    <Suspense>
      <Sheet open title={words.label} onClose={onClose}>
        <div className={styles.article}>
          <ProductImage src={image} size={88} />
          <div>
            <h3>{title}</h3>
            <Price price={item.price} list={item.list_price} />
          </div>
        </div>
        <p className={styles.text} role="status">
          {words.text}
        </p>
        {state.kind === "reserved" && (
          <>
            <dl className={styles.sum}>
              <div>
                <dt>{t("checkout.total")}</dt>
                <dd>{formatMoney(item.price, language)}</dd>
              </div>
              <div>
                <dt>{t("checkout.method")}</dt>
                <dd>
                  <Hold expiresMs={state.expiresMs} />
                </dd>
              </div>
            </dl>
            <Button wide data-testid="pay-button" disabled={state.paying} onClick={purchase.pay}>
              {state.paying ? (
                <>
                  <Spinner /> {t("sale.paying")}
                </>
              ) : (
                t("sale.pay", { price: formatMoney(item.price, language) })
              )}
            </Button>
            <p className={styles.note}>{t("checkout.noMoney")}</p>
            {state.problem && (
              <p className={styles.problem} role="alert">
                {t("checkout.payFailed", { reason: state.problem })}
              </p>
            )}
          </>
        )}
        {state.kind !== "reserved" && (
          <Button wide tone={state.kind === "paid" ? "good" : "plain"} onClick={onClose}>
            {t("checkout.back")}
          </Button>
        )}
      </Sheet>
    </Suspense>
  );
}

function Hold({ expiresMs }: { expiresMs: number }) {
  const { t } = useTranslation();
  return <>{t("checkout.timeLeft", { time: useHoldTime(expiresMs) })}</>;
}
