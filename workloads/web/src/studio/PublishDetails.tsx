/** Server and stream key. The key stays covered until somebody asks, and covers itself again. */
import { useEffect, useState } from "react";
import type { StudioInfo } from "@/api/schemas";
import { Button } from "@/design/ui";
import { useTranslation } from "@/i18n";
import styles from "./StreamingStudio.module.css";

const COVER_AGAIN_MS = 30_000;

export function PublishDetails({ info }: { info: StudioInfo | null }) {
  const { t } = useTranslation();
  const [shown, setShown] = useState(false);
  useEffect(() => {
    if (!shown) return;
    const timer = setTimeout(() => setShown(false), COVER_AGAIN_MS);
    return () => clearTimeout(timer);
  }, [shown]);
  const key = info?.stream_key ?? "";
  return (
    <div className={styles.publish}>
      <p className={styles.hint}>{t("studio.publishText")}</p>
      <div className={styles.secret}>
        <span>{t("studio.server")}</span>
        <code>{info?.rtmp_url || "…"}</code>
        <Copy text={info?.rtmp_url ?? ""} />
      </div>
      <div className={styles.secret}>
        <span>{t("studio.key")}</span>
        <code data-testid="studio-key" data-shown={shown}>
          {shown ? key : "•".repeat(12)}
        </code>
        <Button tone="plain" disabled={!key} aria-pressed={shown} onClick={() => setShown(!shown)}>
          {shown ? t("studio.hide") : t("studio.reveal")}
        </Button>
        <Copy text={key} />
      </div>
      <p className={styles.hint}>{t("studio.keySecret")}</p>
    </div>
  );
}

function Copy({ text }: { text: string }) {
  const { t } = useTranslation();
  const [done, setDone] = useState(false);
  useEffect(() => {
    if (!done) return;
    const timer = setTimeout(() => setDone(false), 2_000);
    return () => clearTimeout(timer);
  }, [done]);
  const copy = () => {
    // Outside a secure context there is no clipboard; the text can still be selected by hand.
    navigator.clipboard?.writeText(text).then(
      () => setDone(true),
      () => setDone(false),
    );
  };
  return (
    <Button tone="plain" disabled={!text} onClick={copy}>
      <span aria-live="polite">{done ? t("studio.copied") : t("studio.copy")}</span>
    </Button>
  );
}
