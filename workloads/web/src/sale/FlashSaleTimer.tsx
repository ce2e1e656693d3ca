/** Digits on the sale service's clock. Spoken only at 60, 30 and 10 seconds, and when it opens. */
import { useEffect, useRef, useState } from "react";
import { useTranslation } from "@/i18n";
import { twoDigits } from "@/i18n/format";
import { countdown, momentToAnnounce } from "./clock";
import styles from "./FlashSaleTimer.module.css";
import { useServerNow } from "./useServerNow";

export function FlashSaleTimer({ targetMs, announce = false }: { targetMs: number; announce?: boolean }) {
  const { t, language } = useTranslation();
  const { seconds, parts } = countdown(targetMs, useServerNow());
  const cells = [
    ...(parts.days ? [{ value: parts.days, unit: t("time.days", { count: parts.days }) }] : []),
    ...(parts.days || parts.hours ? [{ value: parts.hours, unit: t("time.hours") }] : []),
    { value: parts.minutes, unit: t("time.minutes") },
    { value: parts.seconds, unit: t("time.seconds") },
  ].slice(0, 3);
  return (
    <>
      <span
        className={styles.timer}
        role="timer"
        aria-live="off"
        data-soon={seconds <= 10}
        data-testid="sale-countdown"
      >
        {cells.map((cell) => (
          <span key={cell.unit} className={styles.cell}>
            <b>{twoDigits(cell.value, language)}</b>
            <small>{cell.unit}</small>
          </span>
        ))}
      </span>
      {announce && <Announcer seconds={seconds} />}
    </>
  );
}

function Announcer({ seconds }: { seconds: number }) {
  const { t } = useTranslation();
  const before = useRef(seconds);
  const [spoken, setSpoken] = useState("");
  useEffect(() => {
    const moment = momentToAnnounce(before.current, seconds);
    if (moment) setSpoken(t("sale.announce", { seconds: moment }));
    else if (before.current > 0 && seconds === 0) setSpoken(t("sale.announceOpen"));
    before.current = seconds;
  }, [seconds, t]);
  return (
    <span className="visually-hidden" aria-live="assertive">
      {spoken}
    </span>
  );
}

/** Minutes and seconds of a reservation, as text for buttons. */
export function useHoldTime(expiresMs: number): string {
  const { language } = useTranslation();
  const { seconds } = countdown(expiresMs, useServerNow());
  const digits = (value: number) => twoDigits(value, language);
  return `${digits(Math.floor(seconds / 60))}:${digits(seconds % 60)}`;
}
