/** Over the picture: where we are, live or not, how many watch. */
import { ChevronLeft, Eye } from "lucide-react";
import { Link } from "wouter";
import { LanguageSwitch } from "@/app/LanguageSwitch";
import { useTranslation } from "@/i18n";
import { formatCount } from "@/i18n/format";
import { useRoomState } from "@/room/RoomProvider";
import styles from "./StreamHeader.module.css";

export function StreamHeader({
  title,
  channel,
  phase,
}: {
  title: string;
  channel: string;
  phase: string | null;
}) {
  const { t } = useTranslation();
  return (
    <header className={styles.header}>
      <Link href="/?all" className={styles.back} aria-label={t("app.home")}>
        <ChevronLeft aria-hidden="true" />
      </Link>
      <div className={styles.title}>
        <h1>{title}</h1>
        <p>{channel}</p>
      </div>
      {phase === "Live" && <span className={styles.live}>{t("stream.live")}</span>}
      <Viewers />
      <LanguageSwitch />
    </header>
  );
}

function Viewers() {
  const { t, language } = useTranslation();
  const viewers = useRoomState((state) => state.viewers);
  if (viewers === null) return null;
  return (
    <span
      className={styles.viewers}
      data-testid="viewer-count"
      title={t("stream.viewers", { count: viewers })}
    >
      <Eye aria-hidden="true" />
      <span aria-hidden="true">{formatCount(viewers, language)}</span>
      <span className="visually-hidden">{t("stream.viewers", { count: viewers })}</span>
    </span>
  );
}
