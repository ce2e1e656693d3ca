/**
 * LL-HLS through Media Source Extensions. A chunk of its own: phones with native HLS never load it.
 *
 * A live stream's errors are mostly a source that went away for a moment, so nothing here is final: network errors start
 * loading again, decoding errors recover the media element, both with growing pauses.
 */
import Hls, { type ErrorData } from "hls.js";
import type { Engine, EngineEvents, Quality } from "./types";

export function playWithHls(video: HTMLVideoElement, src: string, events: EngineEvents): Engine {
  const hls = new Hls({
    lowLatencyMode: true,
    // Parts are too small to measure a link with; the estimate of whole segments decides.
    testBandwidth: false,
    maxLiveSyncPlaybackRate: 1.5,
    backBufferLength: 15,
    maxBufferLength: 12,
    enableWorker: false,
    capLevelToPlayerSize: true,
  });
  const recovery = new Recovery(hls, () => hls.loadSource(src), events);
  hls.on(Hls.Events.MANIFEST_PARSED, () => {
    recovery.succeeded();
    events.onQualities(qualities(hls), -1);
  });
  hls.on(Hls.Events.LEVEL_SWITCHED, (_, data) => events.onPlaying(data.level));
  hls.on(Hls.Events.FRAG_BUFFERED, () => recovery.succeeded());
  hls.on(Hls.Events.ERROR, (_, data) => recovery.failed(data));
  hls.attachMedia(video);
  hls.loadSource(src);
  return {
    setQuality: (index) => {
      hls.nextLevel = index;
    },
    latencySeconds: () => (video.readyState > 2 && hls.latency > 0 ? hls.latency : null),
    goLive: () => {
      if (hls.liveSyncPosition !== null) video.currentTime = hls.liveSyncPosition;
    },
    destroy: () => {
      recovery.stop();
      hls.destroy();
    },
  };
}

function qualities(hls: Hls): Quality[] {
  return hls.levels
    .map((level, index) => ({
      index,
      height: Math.min(level.height, level.width) || level.height,
      kbps: Math.round(level.bitrate / 1000),
    }))
    .sort((a, b) => b.kbps - a.kbps);
}

class Recovery {
  readonly #hls: Hls;
  readonly #reload: () => void;
  readonly #events: EngineEvents;
  #attempt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(hls: Hls, reload: () => void, events: EngineEvents) {
    this.#hls = hls;
    this.#reload = reload;
    this.#events = events;
  }

  succeeded(): void {
    this.#attempt = 0;
    this.#events.onStalled(false);
  }

  failed(error: ErrorData): void {
    if (!error.fatal) return;
    this.#events.onStalled(true);
    if (this.#timer !== undefined) return;
    const pause = Math.min(5_000, 500 * 2 ** this.#attempt++) * (0.75 + Math.random() / 2);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#recover(error);
    }, pause);
  }

  #recover(error: ErrorData): void {
    if (error.type === Hls.ErrorTypes.MEDIA_ERROR) this.#hls.recoverMediaError();
    else if (this.#hls.levels.length > 0 && this.#attempt < 4) this.#hls.startLoad();
    else this.#reload();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
