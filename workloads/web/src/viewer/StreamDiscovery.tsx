/** The stalls of the market: who is live, who is about to be. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { api } from "@/api/client";
import type { StreamSummary } from "@/api/schemas";
import { useTranslation } from "@/i18n";
import { formatCount } from "@/i18n/format";
import styles from "./StreamDiscovery.module.css";

export function useStreams() {
  return useQuery({
    queryKey: ["streams"],
    queryFn: ({ signal }) => api.streams({ signal }),
    refetchInterval: 5_000,
  });
}

export function StreamDiscovery({ streams, current }: { streams: StreamSummary[]; current?: string }) {
  const { t } = useTranslation();
  if (!streams.length) {
    return (
      <p className={styles.none}>
        <b>{t("streams.none")}</b> {t("streams.noneText")}
      </p>
    );
  }
  return (
    <ul className={styles.list}>
      {streams.map((stream) => (
        <li key={stream.id}>
          <Link
            href={`/s/${stream.id}`}
            className={styles.stall}
            aria-current={stream.id === current ? "page" : undefined}
          >
            <State phase={stream.phase ?? ""} viewers={stream.viewers ?? 0} />
            <b>{stream.title || stream.id}</b>
            <span>{stream.channel}</span>
          </Link>
        </li>
      ))}
    </ul>
  );
}

function State({ phase, viewers }: { phase: string; viewers: number }) {
  const { t, language } = useTranslation();
  const live = phase === "Live";
  const words: Record<string, string> = {
    Live: t("stream.live"),
    Interrupted: t("stream.interrupted"),
    Ended: t("stream.ended"),
    Failed: t("stream.ended"),
  };
  return (
    <small className={styles.state} data-live={live}>
      {words[phase] ?? t("stream.standby")}
      {live && ` · ${formatCount(viewers, language)}`}
    </small>
  );
}
