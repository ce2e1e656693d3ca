/** Everything a host needs during a broadcast, in the order of need: picture, products, sale, talk. */
import { Radio } from "lucide-react";
import { useCallback } from "react";
import { Link } from "wouter";
import type { StudioInfo } from "@/api/schemas";
import { LanguageSwitch } from "@/app/LanguageSwitch";
import { Panel, Wordmark } from "@/design/ui";
import { useTranslation } from "@/i18n";
import { formatCount } from "@/i18n/format";
import { LiveStreamPlayer } from "@/player/LiveStreamPlayer";
import { useRoomState } from "@/room/RoomProvider";
import { ConnectionBanner } from "@/viewer/ConnectionBanner";
import { LiveChatWindow } from "@/viewer/LiveChatWindow";
import { useStreamDetail } from "@/viewer/useStreamDetail";
import { BroadcastHealth } from "./BroadcastHealth";
import { PinBoard } from "./PinBoard";
import { PublishDetails } from "./PublishDetails";
import { SaleControl } from "./SaleControl";
import styles from "./StreamingStudio.module.css";

interface StreamingStudioProps {
  id: string;
  token: string;
  info: StudioInfo | null;
  /** The studio's service did not answer the last time. */
  away: boolean;
}

export function StreamingStudio({ id, token, info, away }: StreamingStudioProps) {
  const { t, language } = useTranslation();
  const detail = useStreamDetail(id);
  const roomPhase = useRoomState((state) => state.phase);
  const roomSale = useRoomState((state) => state.sale);
  const viewers = useRoomState((state) => state.viewers);
  const noName = useCallback(() => Promise.resolve(), []);
  const phase = info?.playable ? "Live" : (roomPhase ?? detail.data?.phase ?? "Standby");
  const title = detail.data?.title || id;
  return (
    <main className={styles.studio}>
      <header className={styles.head}>
        <Wordmark />
        <div className={styles.name}>
          <h1>{title}</h1>
          <p>
            {t("studio.title")} · {id}
          </p>
        </div>
        <State info={info} />
        <p className={styles.viewers} data-testid="viewer-count">
          <b>{formatCount(viewers ?? 0, language)}</b> {t("studio.viewers")}
        </p>
        <Link href={`/s/${id}`} className={styles.link}>
          {t("studio.viewerPage")}
        </Link>
        <LanguageSwitch />
      </header>
      {away && (
        <p className={styles.away} role="status">
          {t("studio.away")}
        </p>
      )}
      <ConnectionBanner />
      <div className={styles.picture}>
        <Panel title={t("studio.preview")}>
          <div className={styles.preview}>
            <LiveStreamPlayer
              preview
              src={phase === "Live" ? `/hls/${id}/master.m3u8` : null}
              title={title}
              phase={phase}
            />
          </div>
          <p className={styles.hint}>{t("studio.previewText")}</p>
          <BroadcastHealth info={info} />
        </Panel>
        <Panel title={t("studio.publish")}>
          <PublishDetails info={info} />
        </Panel>
      </div>
      <div className={styles.work}>
        <SaleControl sale={roomSale ?? detail.data?.sale ?? null} token={token} />
        <PinBoard products={detail.data?.products ?? []} />
      </div>
      <div className={styles.talk}>
        <Panel title={t("chat.title")}>
          <LiveChatWindow channel={detail.data?.channel ?? ""} over="page" named onName={noName} />
        </Panel>
      </div>
    </main>
  );
}

function State({ info }: { info: StudioInfo | null }) {
  const { t } = useTranslation();
  const state = info?.playable ? "live" : info?.receiving ? "receiving" : "waiting";
  const words = { live: t("studio.onAir"), receiving: t("studio.receiving"), waiting: t("studio.waiting") };
  return (
    <p className={styles.state} data-state={state} data-testid="studio-state" role="status">
      <Radio aria-hidden="true" size={18} /> {words[state]}
    </p>
  );
}
