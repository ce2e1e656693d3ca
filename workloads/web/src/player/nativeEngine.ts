/** HLS by the browser itself (Safari): it chooses the quality and knows no levels. */
import type { Engine, EngineEvents } from "./types";

/** Only Safari: newer Chromium says yes too, but plays neither low latency nor a chosen quality. */
export function playsNatively(video: HTMLVideoElement): boolean {
  return "getStartDate" in video && video.canPlayType("application/vnd.apple.mpegurl") !== "";
}

export function playNatively(video: HTMLVideoElement, src: string, events: EngineEvents): Engine {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const onError = () => {
    events.onStalled(true);
    clearTimeout(timer);
    timer = setTimeout(() => {
      video.src = src;
      video.load();
    }, 2_000);
  };
  const onPlaying = () => events.onStalled(false);
  video.addEventListener("error", onError);
  video.addEventListener("playing", onPlaying);
  video.src = src;
  return {
    setQuality: () => {},
    latencySeconds: () => {
      // The start date of the media timeline is Safari's own property.
      const start = "getStartDate" in video ? (video.getStartDate as () => Date)().getTime() : Number.NaN;
      return Number.isFinite(start) ? (Date.now() - start) / 1000 - video.currentTime : null;
    },
    goLive: () => {
      if (video.seekable.length) video.currentTime = video.seekable.end(video.seekable.length - 1);
    },
    destroy: () => {
      clearTimeout(timer);
      video.removeEventListener("error", onError);
      video.removeEventListener("playing", onPlaying);
      video.removeAttribute("src");
      video.load();
    },
  };
}
