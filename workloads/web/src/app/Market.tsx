/** The front page: the stalls. With exactly one live, visitors are already standing in front of it. */

import { Redirect, useSearch } from "wouter";
import { Button, Wordmark } from "@/design/ui";
import { useTranslation } from "@/i18n";
import { StreamDiscovery, useStreams } from "@/viewer/StreamDiscovery";
import { LanguageSwitch } from "./LanguageSwitch";
import styles from "./Market.module.css";

export default function Market() {
  const { t } = useTranslation();
  const all = new URLSearchParams(useSearch()).has("all");
  const streams = useStreams();
  const live = streams.data?.items.filter((stream) => stream.phase === "Live") ?? [];
  if (!all && live.length === 1 && live[0]) return <Redirect to={`/s/${live[0].id}`} replace />;
  return (
    <main className={styles.market}>
      <header className={styles.head}>
        <Wordmark />
        <LanguageSwitch />
      </header>
      <h1>{t("streams.title")}</h1>
      {streams.error && !streams.data ? (
        <div className={styles.away}>
          <p role="alert">{t("error.network")}</p>
          <Button tone="plain" onClick={() => void streams.refetch()}>
            {t("error.retry")}
          </Button>
        </div>
      ) : (
        streams.data && <StreamDiscovery streams={streams.data.items} />
      )}
    </main>
  );
}
