/** The picture: starts muted by itself, says what is going on when there is none, and never blocks what lies over it. */
import { Play, Volume2, VolumeX } from "lucide-react";
import { lazy, type ReactNode, Suspense, useEffect, useRef, useState } from "react";
import { IconButton, Spinner } from "@/design/ui";
import { useTranslation } from "@/i18n";
import { formatSeconds } from "@/i18n/format";
import styles from "./LiveStreamPlayer.module.css";
import { type EngineKind, play, useEngine } from "./useEngine";

const MultiQualitySelector = lazy(() => import("./MultiQualitySelector"));

interface LiveStreamPlayerProps {
  /** Address of the master playlist; null while there is nothing to play. */
  src: string | null;
  title: string;
  phase: string | null;
  /** A small picture without controls (studio). */
  preview?: boolean;
  /** How the picture comes; `push` has the lowest latency and no way back. */
  engine?: EngineKind;
  children?: ReactNode;
}

const OVERLAYS: Record<string, "standby" | "interrupted" | "ended"> = {
  Pending: "standby",
  Provisioning: "standby",
  Standby: "standby",
  Interrupted: "interrupted",
  Ended: "ended",
  Failed: "ended",
};

export function LiveStreamPlayer({
  src,
  title,
  phase,
  preview = false,
  engine = "hls",
  children,
}: LiveStreamPlayerProps) {
  const { t, language } = useTranslation();
  const video = useRef<HTMLVideoElement>(null);
  const [muted, setMuted] = useState(true);
  const [paused, setPaused] = useState(false);
  const player = useEngine(video, src, engine);
  const overlay = phase ? OVERLAYS[phase] : undefined;

  useEffect(() => {
    const element = video.current;
    if (!element) return;
    const sync = () => {
      setPaused(element.paused);
      setMuted(element.muted);
    };
    for (const name of ["play", "pause", "volumechange"]) element.addEventListener(name, sync);
    return () => {
      for (const name of ["play", "pause", "volumechange"]) element.removeEventListener(name, sync);
    };
  }, []);

  const toggleSound = () => {
    if (!video.current) return;
    video.current.muted = !video.current.muted;
    if (video.current.paused) play(video.current);
  };

  return (
    <div className={`${styles.player} ${preview ? styles.preview : ""}`}>
      <video
        ref={video}
        className={`${styles.video} ${overlay && overlay !== "interrupted" ? styles.dim : ""}`}
        data-testid="player-video"
        aria-label={t("player.label", { title })}
        muted
        playsInline
        autoPlay
      />
      {overlay && <StateOverlay kind={overlay} />}
      {!overlay && src && (!player.started || player.stalled) && (
        <p className={styles.loading} role="status">
          <Spinner />
          <span>{t("stream.loading")}</span>
        </p>
      )}
      {!preview && !overlay && player.started && (
        <div className={styles.controls}>
          {paused ? (
            <button
              type="button"
              className={styles.sound}
              onClick={() => video.current && play(video.current)}
            >
              <Play aria-hidden="true" /> {t("player.play")}
            </button>
          ) : muted ? (
            <button type="button" className={styles.sound} onClick={toggleSound}>
              <VolumeX aria-hidden="true" /> {t("player.unmute")}
            </button>
          ) : (
            <IconButton label={t("player.mute")} className={styles.round} onClick={toggleSound}>
              <Volume2 />
            </IconButton>
          )}
          {player.qualities.length > 1 && (
            <Suspense>
              <MultiQualitySelector
                qualities={player.qualities}
                selected={player.selected}
                playing={player.playing}
                onSelect={player.select}
              />
            </Suspense>
          )}
          {player.latency !== null && (
            <button
              type="button"
              className={styles.latency}
              title={t("stream.goLive")}
              onClick={player.goLive}
            >
              {t("stream.latency", { seconds: formatSeconds(player.latency, language) })}
            </button>
          )}
        </div>
      )}
      {children}
    </div>
  );
}

function StateOverlay({ kind }: { kind: "standby" | "interrupted" | "ended" }) {
  const { t } = useTranslation();
  const words = {
    standby: [t("stream.standby"), t("stream.standbyText")],
    interrupted: [t("stream.interrupted"), t("stream.interruptedText")],
    ended: [t("stream.ended"), t("stream.endedText")],
  }[kind];
  return (
    <div className={`${styles.overlay} ${styles[kind]}`} role="status" data-state={kind}>
      <div className={styles.card}>
        <h2>{words[0]}</h2>
        <p>{words[1]}</p>
      </div>
    </div>
  );
}
