/** The planned sale: its clock, what is left, and the host's "now". */
import { useState } from "react";
import { api } from "@/api/client";
import type { Sale } from "@/api/schemas";
import { Button, Panel, Price } from "@/design/ui";
import { useTranslation } from "@/i18n";
import { formatCount } from "@/i18n/format";
import { useRoom } from "@/room/RoomProvider";
import { FlashSaleTimer } from "@/sale/FlashSaleTimer";
import styles from "./StreamingStudio.module.css";

export function SaleControl({ sale, token }: { sale: Sale | null; token: string }) {
  const { t } = useTranslation();
  return (
    <Panel title={t("studio.sale")} aside={sale && <Phase phase={sale.phase} />}>
      {sale ? <Running sale={sale} token={token} /> : <p className={styles.hint}>{t("studio.noSale")}</p>}
    </Panel>
  );
}

function Phase({ phase }: { phase: string }) {
  const { t } = useTranslation();
  const words: Record<string, string> = {
    Scheduled: t("phase.Scheduled"),
    Countdown: t("phase.Countdown"),
    Open: t("phase.Open"),
    SoldOut: t("phase.SoldOut"),
    Paused: t("phase.Paused"),
    Closed: t("phase.Closed"),
    Cancelled: t("phase.Cancelled"),
    Settled: t("phase.Settled"),
  };
  return (
    <strong className={styles.phase} data-phase={phase} data-testid="sale-phase">
      {words[phase] ?? phase}
    </strong>
  );
}

function Running({ sale, token }: { sale: Sale; token: string }) {
  const { t, language } = useTranslation();
  const { store } = useRoom();
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const waits = sale.phase === "Scheduled" || sale.phase === "Countdown";
  const start = () => {
    setBusy(true);
    setProblem("");
    api
      .startSale(sale.id, token)
      .then((started) => store.setState({ sale: started }))
      .catch((error: unknown) => setProblem(error instanceof Error ? error.message : t("error.generic")))
      .finally(() => setBusy(false));
  };
  return (
    <div className={styles.sale}>
      {sale.items.map((item) => (
        <div key={item.sku} className={styles.article}>
          <div>
            <b>{item.title}</b>
            <Price price={item.price} list={item.list_price} />
          </div>
          <dl>
            <div>
              <dt>{t("studio.saleLeft")}</dt>
              <dd data-testid="sale-left">{formatCount(Math.max(0, item.left), language)}</dd>
            </div>
            <div>
              <dt>{t("studio.saleGone")}</dt>
              <dd data-testid="sale-gone">{formatCount(Math.max(0, item.stock - item.left), language)}</dd>
            </div>
          </dl>
        </div>
      ))}
      {waits && (
        <div className={styles.start}>
          <p>
            {t("sale.startsIn")} <FlashSaleTimer targetMs={sale.starts_at_ms} />
          </p>
          <Button data-testid="sale-start" disabled={busy} onClick={start}>
            {t("studio.start")}
          </Button>
          <p className={styles.hint}>{t("studio.startText")}</p>
        </div>
      )}
      {problem && (
        <p className={styles.problem} role="alert">
          {t("studio.startFailed", { reason: problem })}
        </p>
      )}
    </div>
  );
}
