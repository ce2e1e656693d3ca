/**
 * The lowest latency that a browser has without WebRTC: each frame is pushed over a WebSocket and appended to Media
 * Source buffers, picture and sound. A chunk of its own, loaded only when it is wanted.
 *
 * Buffers are made anew with each connection, so nothing of a broken one can stay; what is older than a few seconds is
 * removed, or the browser's quota would end the stream.
 */
import { type Buffered, common, step, Target } from "./pushLatency";
import type { Engine, EngineEvents, Quality } from "./types";

interface Hello {
  type: "hello" | "error";
  receiving: boolean;
  rung: string;
  rungs: { name: string; width: number; height: number; kbps: number; codec: string }[];
  audio: string | null;
}

const PICTURE = 0;
const INIT = 1;
const KEEP_SECONDS = 5;
const TICK_MS = 100;

/** `src` is the address of the master playlist, which tells where the frames are. */
export function pushUrl(src: string, base: string = location.href): string {
  const url = new URL(src, base);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  url.pathname = url.pathname.replace(/^\/hls\//, "/push/").replace(/\/master\.m3u8$/, "");
  return url.toString();
}

export function playWithPush(video: HTMLVideoElement, src: string, events: EngineEvents): Engine {
  const player = new PushPlayer(video, pushUrl(src), events);
  player.connect();
  return player;
}

class PushPlayer implements Engine {
  readonly #video: HTMLVideoElement;
  readonly #url: string;
  readonly #events: EngineEvents;
  readonly #timer: ReturnType<typeof setInterval>;
  #socket: WebSocket | null = null;
  #tracks = new Map<number, Track>();
  #source: MediaSource | null = null;
  #hello: Hello | null = null;
  #target = new Target();
  #attempt = 0;
  #again: ReturnType<typeof setTimeout> | undefined;
  #gone = false;
  readonly #onWaiting = () => this.#target.stalled();

  constructor(video: HTMLVideoElement, url: string, events: EngineEvents) {
    this.#video = video;
    this.#url = url;
    this.#events = events;
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    video.addEventListener("waiting", this.#onWaiting);
  }

  connect(): void {
    const socket = new WebSocket(this.#url);
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => {
      if (this.#socket !== socket) return;
      if (typeof data === "string") this.#greet(JSON.parse(data) as Hello);
      else this.#take(new Uint8Array(data as ArrayBuffer));
    };
    socket.onclose = () => {
      if (this.#socket === socket) this.#reconnect();
    };
    this.#socket = socket;
  }

  setQuality(index: number): void {
    const rung = this.#hello?.rungs[index < 0 ? this.#hello.rungs.length - 1 : index];
    if (rung) this.#socket?.send(JSON.stringify({ rung: rung.name }));
  }

  latencySeconds(): number | null {
    const end = this.#ranges().at(-1)?.end;
    return end === undefined || this.#video.readyState < 3
      ? null
      : Math.max(0, end - this.#video.currentTime);
  }

  goLive(): void {
    const end = this.#ranges().at(-1)?.end;
    if (end !== undefined) this.#video.currentTime = Math.max(0, end - this.#target.seconds);
  }

  destroy(): void {
    this.#gone = true;
    clearInterval(this.#timer);
    clearTimeout(this.#again);
    this.#video.removeEventListener("waiting", this.#onWaiting);
    this.#socket?.close();
    this.#socket = null;
    this.#video.removeAttribute("src");
    this.#video.load();
  }

  #greet(hello: Hello): void {
    if (hello.type !== "hello") return;
    const first = this.#hello === null || this.#source === null;
    this.#hello = hello;
    const playing = hello.rungs.findIndex((rung) => rung.name === hello.rung);
    this.#events.onQualities(hello.rungs.map(quality), playing);
    this.#events.onPlaying(playing);
    if (first) this.#open(hello, playing);
  }

  #open(hello: Hello, playing: number): void {
    const source = new MediaSource();
    this.#source = source;
    const codecs = [[PICTURE, `video/mp4; codecs="${hello.rungs[playing]?.codec ?? ""}"`]] as [
      number,
      string,
    ][];
    if (hello.audio) codecs.push([1, `audio/mp4; codecs="${hello.audio}"`]);
    this.#tracks = new Map(codecs.map(([number]) => [number, new Track()]));
    const url = URL.createObjectURL(source);
    source.addEventListener("sourceopen", () => {
      URL.revokeObjectURL(url);
      for (const [number, type] of codecs) this.#tracks.get(number)?.attach(source.addSourceBuffer(type));
    });
    this.#video.src = url;
    void this.#video.play().catch(() => undefined);
  }

  #take(message: Uint8Array<ArrayBuffer>): void {
    const track = this.#tracks.get(message[0] ?? PICTURE);
    if (!track) return;
    this.#attempt = 0;
    if (((message[1] ?? 0) & INIT) === 0) this.#events.onStalled(false);
    track.append(message.subarray(2), this.#video.currentTime - KEEP_SECONDS);
    if (track.failed) this.#socket?.close();
  }

  #ranges(): Buffered[] {
    const all = [...this.#tracks.values()].map((track) => track.ranges());
    return all.reduce((sofar, next) => common(sofar, next), all[0] ?? []);
  }

  #tick(): void {
    const video = this.#video;
    const { rate, seekTo } = step(this.#ranges(), video.currentTime, this.#target.seconds);
    if (seekTo !== null) video.currentTime = seekTo;
    if (video.playbackRate !== rate) video.playbackRate = rate;
    if (!video.paused && video.readyState > 2) this.#target.wentWell(TICK_MS / 1000);
  }

  #reconnect(): void {
    if (this.#gone) return;
    this.#events.onStalled(true);
    this.#source = null;
    this.#tracks.clear();
    const pause = Math.min(5_000, 250 * 2 ** this.#attempt++) * (0.75 + Math.random() / 2);
    this.#again = setTimeout(() => this.connect(), pause);
  }
}

/** A source buffer takes one append at a time; the others wait here. */
class Track {
  #buffer: SourceBuffer | null = null;
  #queue: Uint8Array<ArrayBuffer>[] = [];
  #removeBefore = 0;
  failed = false;

  attach(buffer: SourceBuffer): void {
    this.#buffer = buffer;
    buffer.addEventListener("updateend", () => this.#next());
    buffer.addEventListener("error", () => {
      this.failed = true;
    });
    this.#next();
  }

  append(data: Uint8Array<ArrayBuffer>, removeBefore: number): void {
    this.#queue.push(data);
    this.#removeBefore = removeBefore;
    this.#next();
  }

  ranges(): Buffered[] {
    try {
      const buffered = this.#buffer?.buffered;
      return [...Array(buffered?.length ?? 0).keys()].map((index) => ({
        start: buffered?.start(index) ?? 0,
        end: buffered?.end(index) ?? 0,
      }));
    } catch {
      return []; // the media source was replaced meanwhile
    }
  }

  #next(): void {
    const buffer = this.#buffer;
    if (!buffer || buffer.updating || this.failed) return;
    try {
      const first = this.ranges()[0];
      if (first && first.start < this.#removeBefore - KEEP_SECONDS)
        buffer.remove(first.start, this.#removeBefore);
      else {
        const data = this.#queue.length > 1 ? joined(this.#queue) : this.#queue[0];
        this.#queue = [];
        if (data) buffer.appendBuffer(data);
      }
    } catch {
      this.failed = true;
    }
  }
}

function joined(pieces: Uint8Array<ArrayBuffer>[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

const quality = (rung: Hello["rungs"][number], index: number): Quality => ({
  index,
  height: Math.min(rung.width, rung.height),
  kbps: rung.kbps,
});
