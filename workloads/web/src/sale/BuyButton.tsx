/** The button in each of its states, with one sentence that says what the state means. */
import { Check, Hourglass } from "lucide-react";
import type { SaleItem } from "@/api/schemas";
import { Button, Spinner } from "@/design/ui";
import { useTranslation } from "@/i18n";
import styles from "./BuyButton.module.css";
import type { ButtonView } from "./buy";
import { useHoldTime } from "./FlashSaleTimer";
import type { Purchase } from "./useBuy";

interface BuyButtonProps {
  purchase: Purchase;
  view: ButtonView;
  item: SaleItem;
  onOpenCheckout(): void;
}

export function BuyButton({ purchase, view, item, onOpenCheckout }: BuyButtonProps) {
  const words = useWords(view, purchase);
  const opens = view === "reserved" || view === "paying" || view === "paid";
  const acts = ["buy", "expired", "error"].includes(view) || (view === "paid" && item.per_user_limit > 1);
  const onClick = () => {
    if (opens) onOpenCheckout();
    else if (acts) purchase.buy();
  };
  const tone = opens ? "good" : "accent";
  return (
    <div className={styles.buy}>
      <Button
        wide
        tone={tone}
        data-testid="buy-button"
        data-state={view}
        aria-disabled={!opens && !acts}
        aria-busy={view === "waiting" || view === "holdOn"}
        disabled={!opens && !acts}
        onClick={onClick}
      >
        {(view === "waiting" || view === "holdOn" || view === "opening") && <Spinner />}
        {view === "reserved" && <Hourglass aria-hidden="true" size={18} />}
        {view === "paid" && <Check aria-hidden="true" size={18} />}
        {view === "reserved" && purchase.state.kind === "reserved" ? (
          <PayLabel expiresMs={purchase.state.expiresMs} />
        ) : (
          words.label
        )}
      </Button>
      <p className={styles.state} role="status" data-testid="order-state" data-state={view}>
        {words.text}
      </p>
    </div>
  );
}

function PayLabel({ expiresMs }: { expiresMs: number }) {
  const { t } = useTranslation();
  return <>{t("sale.payShort", { time: useHoldTime(expiresMs) })}</>;
}

interface Words {
  label: string;
  text: string;
}

export function useWords(view: ButtonView, { state }: Purchase): Words {
  const { t } = useTranslation();
  const order = state.kind === "paid" ? shortOrder(state.orderId) : "";
  const detail = state.kind === "refused" ? state.detail : "";
  const words: Record<ButtonView, Words> = {
    countdown: { label: t("sale.buy"), text: t("sale.countdownText") },
    opening: { label: t("sale.opening"), text: t("sale.countdownText") },
    buy: { label: t("sale.buy"), text: t("sale.openText") },
    waiting: { label: t("sale.waiting"), text: t("sale.waitingText") },
    holdOn: { label: t("sale.holdOn"), text: t("sale.holdOnText") },
    reserved: { label: t("sale.reserved"), text: t("sale.reservedText") },
    paying: { label: t("sale.paying"), text: t("sale.reservedText") },
    paid: { label: t("sale.paid"), text: t("sale.paidText", { order }) },
    expired: { label: t("sale.again"), text: t("sale.expiredText") },
    soldOut: { label: t("sale.soldOut"), text: t("sale.soldOutText") },
    limit: { label: t("sale.limitReached"), text: t("sale.limitText") },
    closed: { label: t("sale.closed"), text: t("sale.closedText") },
    paused: { label: t("sale.paused"), text: t("sale.pausedText") },
    error: { label: t("sale.again"), text: t("sale.errorText", { detail }) },
  };
  return words[view];
}

/** The end of an order's id is enough to tell it from another. */
export function shortOrder(id: string): string {
  return id.slice(-6).toUpperCase();
}
