/** What comes in and what goes out, as the transcoder measures it. */

import type { StudioInfo } from "@/api/schemas";
import { useTranslation } from "@/i18n";
import { formatCount, localeOf } from "@/i18n/format";
import styles from "./StreamingStudio.module.css";

export function BroadcastHealth({ info }: { info: StudioInfo | null }) {
  const { t, language } = useTranslation();
  const number = (value: number | null | undefined, digits = 1) =>
    value === null || value === undefined
      ? "–"
      : new Intl.NumberFormat(localeOf(language), { maximumFractionDigits: digits }).format(value);
  const state: Record<string, string> = { live: t("rung.live"), idle: t("rung.idle"), off: t("rung.off") };
  return (
    <>
      <dl className={styles.figures}>
        <div>
          <dt>{t("studio.bitrate")}</dt>
          <dd>{t("studio.kbps", { value: number(info?.bitrate_kbps, 0) })}</dd>
        </div>
        <div>
          <dt>{t("studio.fps")}</dt>
          <dd>{t("studio.fpsValue", { value: number(info?.fps) })}</dd>
        </div>
        <div>
          <dt>{t("studio.speed")}</dt>
          <dd>{t("studio.speedValue", { value: number(info?.speed, 2) })}</dd>
        </div>
      </dl>
      <h3 className={styles.sub}>{t("studio.rungs")}</h3>
      <ul className={styles.rungs}>
        {Object.entries(info?.rungs ?? {}).map(([name, rung]) => (
          <li key={name} data-state={rung.state}>
            <b>{name}</b>
            <span>
              {rung.width}×{rung.height}
            </span>
            <span>{t("studio.kbps", { value: formatCount(rung.kbps, language) })}</span>
            <em>{state[rung.state] ?? rung.state}</em>
          </li>
        ))}
      </ul>
    </>
  );
}
