/**
 * Builds hls.js from its own sources with just what Haat's streams need.
 *
 * The published light build cannot play an audio rendition of its own (EXT-X-MEDIA), the full one is far over the budget
 * of the player chunk. Haat's media is always fragmented MP4, so the demuxers of transport streams and raw audio go.
 */
import { existsSync } from "node:fs";
import { resolve } from "node:path";

const off = "false";

export const hlsFlags: Record<string, string> = {
  __VERSION__: '"haat"',
  __USE_ALT_AUDIO__: "true",
  __USE_MEDIA_CAPABILITIES__: "true",
  __USE_CONTENT_STEERING__: "true",
  __USE_SUBTITLES__: off,
  __USE_CMCD__: off,
  __USE_EME_DRM__: off,
  __USE_IFRAMES__: off,
  __USE_INTERSTITIALS__: off,
  __USE_M2TS_ADVANCED_CODECS__: off,
  __USE_VARIABLE_SUBSTITUTION__: off,
  __IN_WORKER__: off,
  __HLS_WORKER_BUNDLE__: "undefined",
};

const UNUSED = /\/(tsdemuxer|aacdemuxer|mp3demuxer|ac3-demuxer|mp4-remuxer)$/;
const STUB = "\0haat-hls-unused";

/** Vite plugin; `root` is the folder of the hls.js package. Only the transmuxer's choice of demuxers is narrowed. */
export function slimHls(root: string) {
  const transmuxer = resolve(root, "src/demux/transmuxer.ts");
  if (!existsSync(transmuxer)) throw new Error(`hls.js has moved its transmuxer: ${transmuxer} is not there`);
  return {
    name: "haat-slim-hls",
    enforce: "pre" as const,
    resolveId(source: string, importer: string | undefined) {
      if (source === "hls.js") return resolve(root, "src/hls.ts");
      return importer === transmuxer && UNUSED.test(source) ? STUB : null;
    },
    load(id: string) {
      // A demuxer that recognises nothing: the transmuxer stays with fragmented MP4.
      return id === STUB
        ? "class Unused { static probe() { return false } }\nexport { Unused as default, Unused as AC3Demuxer };"
        : null;
    },
  };
}
