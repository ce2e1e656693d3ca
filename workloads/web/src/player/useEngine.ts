/** Attaches an engine to a video element and keeps what the controls show. */
import { type RefObject, useEffect, useRef, useState } from "react";
import { playNatively, playsNatively } from "./nativeEngine";
import type { Engine, Quality } from "./types";

export interface PlayerState {
  qualities: Quality[];
  /** What the viewer chose; -1 is automatic. */
  selected: number;
  /** What plays now; -1 while nothing does. */
  playing: number;
  stalled: boolean;
  started: boolean;
  latency: number | null;
}

const NOTHING: PlayerState = {
  qualities: [],
  selected: -1,
  playing: -1,
  stalled: false,
  started: false,
  latency: null,
};

/** `push` is for the lowest latency: each frame as it comes, where the browser can. */
export type EngineKind = "hls" | "push";

export function useEngine(
  video: RefObject<HTMLVideoElement | null>,
  src: string | null,
  kind: EngineKind = "hls",
) {
  const [state, setState] = useState(NOTHING);
  const engine = useRef<Engine | null>(null);

  useEffect(() => {
    const element = video.current;
    if (!element || !src) return;
    let gone = false;
    const patch = (change: Partial<PlayerState>) => setState((now) => ({ ...now, ...change }));
    const events = {
      onQualities: (qualities: Quality[], selected: number) => patch({ qualities, selected }),
      onPlaying: (playing: number) => patch({ playing }),
      onStalled: (stalled: boolean) => patch({ stalled }),
    };
    const onStarted = () => patch({ started: true, stalled: false });
    const onWaiting = () => patch({ stalled: true });
    element.addEventListener("playing", onStarted);
    element.addEventListener("waiting", onWaiting);
    if (kind === "push" && typeof MediaSource !== "undefined") {
      void import("./pushEngine").then(
        ({ playWithPush }) => {
          if (gone) return;
          engine.current = playWithPush(element, src, events);
        },
        () => patch({ stalled: true }),
      );
    } else if (playsNatively(element)) {
      engine.current = playNatively(element, src, events);
      play(element);
    } else {
      void import("./hlsEngine").then(
        ({ playWithHls }) => {
          if (gone) return;
          engine.current = playWithHls(element, src, events);
          play(element);
        },
        () => patch({ stalled: true }),
      );
    }
    const timer = setInterval(() => patch({ latency: engine.current?.latencySeconds() ?? null }), 1_000);
    return () => {
      gone = true;
      clearInterval(timer);
      element.removeEventListener("playing", onStarted);
      element.removeEventListener("waiting", onWaiting);
      engine.current?.destroy();
      engine.current = null;
      setState(NOTHING);
    };
  }, [video, src, kind]);

  const select = (index: number) => {
    engine.current?.setQuality(index);
    setState((now) => ({ ...now, selected: index }));
  };
  return { ...state, select, goLive: () => engine.current?.goLive() };
}

/** Muted playback may start by itself everywhere; a refusal leaves the play button to the viewer. */
export function play(video: HTMLVideoElement): void {
  video.play().catch(() => undefined);
}
