/**
 * The room's socket: joins, misses nothing, and lets no purchase fall between two connections.
 *
 * Position is epoch + offset. After a break the hello carries it and the server sends what was missed; a hole in the
 * offsets means that something was lost on the way, so the client comes back with its last whole position. What the
 * client sends carries its own id and is sent again under that id after each reconnect until it is answered.
 */
import type { OrderResult } from "@/api/schemas";
import { backoffMs } from "./backoff";
import { Outbox, type Tap } from "./outbox";
import {
  CLOSE,
  type ErrorFrame,
  parseFrame,
  type RoomEvent,
  type ServerFrame,
  type Welcome,
} from "./protocol";

export type Connection = "connecting" | "open" | "waiting" | "closed";

export interface RoomHandlers {
  onConnection?(state: Connection): void;
  /** `fresh`: the room's state starts anew with this frame's history; otherwise the history was missed events. */
  onWelcome?(frame: Welcome, fresh: boolean): void;
  onEvents?(events: RoomEvent[]): void;
  onError?(frame: ErrorFrame): void;
  /** The server's clock, with the local times between which it was read. */
  onClock?(serverMs: number, sentAt: number, receivedAt: number): void;
}

/** What the client uses of a browser's WebSocket. */
export type Socket = Pick<WebSocket, "send" | "close" | "readyState"> & {
  onopen: ((event: Event) => void) | null;
  onclose: ((event: CloseEvent) => void) | null;
  onmessage: ((event: MessageEvent) => void) | null;
  onerror: ((event: Event) => void) | null;
};

export interface RoomOptions {
  url: string;
  room: string;
  /** A valid token; `refused` asks for another one than the last. */
  token(refused: boolean): Promise<string>;
  handlers?: RoomHandlers;
  /** Buying over HTTP, used while the socket is down. */
  buyByHttp?(tap: Tap): Promise<OrderResult>;
  open?(url: string): Socket;
  random?(): number;
  now?(): number;
}

const PING_MS = 15_000;
const SILENCE_MS = 35_000;
const WELCOME_MS = 10_000;

export class RoomClient {
  readonly #options: RoomOptions;
  readonly #outbox: Outbox;
  #socket: Socket | null = null;
  #state: Connection = "closed";
  #position: { epoch: string; offset: number } | null = null;
  #attempt = 0;
  #refused = false;
  #generation = 0;
  #heard = 0;
  #pingSent = 0;
  #lastGap = Number.NEGATIVE_INFINITY;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #heartbeat: ReturnType<typeof setInterval> | undefined;

  constructor(options: RoomOptions) {
    this.#options = options;
    this.#outbox = new Outbox({
      send: (frame) => this.#send(frame),
      isOpen: () => this.#state === "open",
      byHttp: options.buyByHttp,
      random: options.random ?? Math.random,
    });
  }

  get connection(): Connection {
    return this.#state;
  }

  get position(): { epoch: string; offset: number } | null {
    return this.#position;
  }

  start(): void {
    if (this.#state === "closed") void this.#connect();
  }

  /** Leave for good; what waits for an answer is given up. */
  stop(): void {
    this.#drop(CLOSE.normal);
    this.#outbox.stop();
    this.#set("closed");
  }

  /** Try again now, for instance when the device is online again or the token has changed. */
  reconnectNow(): void {
    if (this.#state === "closed") return;
    this.#attempt = 0;
    this.#drop(CLOSE.normal);
    void this.#connect();
  }

  /** Resolves with the ledger's answer; `onHoldOn` hears of answers that say "later". Never rejects while started. */
  buy(tap: Tap, onHoldOn?: (result: OrderResult) => void): Promise<OrderResult> {
    return this.#outbox.buy(tap, onHoldOn);
  }

  /** Resolves when the room has the event; rejects with the server's refusal. */
  publish(event: string, data: Record<string, unknown>, id: string): Promise<{ offset: number | null }> {
    return this.#outbox.publish({ type: "publish", room: this.#options.room, event, data, id });
  }

  async #connect(): Promise<void> {
    const generation = ++this.#generation;
    this.#set("connecting");
    let token: string;
    try {
      token = await this.#options.token(this.#refused);
    } catch {
      if (generation === this.#generation) this.#later(backoffMs(this.#attempt++, this.#options.random));
      return;
    }
    if (generation !== this.#generation) return;
    this.#refused = false;
    const socket = (this.#options.open ?? openSocket)(this.#options.url);
    this.#socket = socket;
    this.#heard = this.#now();
    socket.onopen = () => this.#hello(token);
    socket.onmessage = (message) => this.#onMessage(socket, message.data);
    socket.onclose = (event) => this.#onClose(socket, event.code);
    this.#watch();
  }

  #hello(token: string): void {
    const { room } = this.#options;
    const since = this.#position ? { since: { [room]: this.#position } } : {};
    this.#pingSent = this.#now();
    this.#send({ type: "hello", token, rooms: [room], ...since });
  }

  #onMessage(socket: Socket, text: unknown): void {
    if (socket !== this.#socket) return;
    this.#heard = this.#now();
    const frame = parseFrame(text);
    if (frame) this.#take(frame);
  }

  #take(frame: ServerFrame): void {
    const handlers = this.#options.handlers;
    switch (frame.type) {
      case "welcome":
        this.#onWelcome(frame);
        break;
      case "event":
        this.#onEvents([frame]);
        break;
      case "batch":
        this.#onEvents(frame.events);
        break;
      case "ack":
        this.#outbox.acknowledged(frame.id, frame.offset ?? null);
        break;
      case "order.result":
        this.#outbox.answered(frame);
        break;
      case "error":
        if (!this.#outbox.refused(frame)) handlers?.onError?.(frame);
        break;
      case "reconnect":
        this.#later(frame.after_ms * (1 + 0.5 * (this.#options.random ?? Math.random)()));
        break;
      case "pong":
        if (frame.now_ms !== undefined) handlers?.onClock?.(frame.now_ms, this.#pingSent, this.#now());
    }
  }

  #onWelcome(frame: Welcome): void {
    const known = this.#position;
    const fresh = !frame.recovered || known === null || known.epoch !== frame.epoch;
    const offset = Math.max(frame.offset, ...frame.history.map((event) => event.offset ?? 0));
    const missed = fresh
      ? frame.history
      : frame.history.filter((e) => (e.offset ?? 0) > (known?.offset ?? 0));
    this.#position = frame.epoch === null ? null : { epoch: frame.epoch, offset };
    this.#attempt = 0;
    const handlers = this.#options.handlers;
    if (frame.now_ms !== undefined) handlers?.onClock?.(frame.now_ms, this.#pingSent, this.#now());
    handlers?.onWelcome?.({ ...frame, history: missed }, fresh);
    this.#set("open");
    this.#outbox.flush();
  }

  #onEvents(events: RoomEvent[]): void {
    const taken: RoomEvent[] = [];
    let hole = false;
    for (const event of events) {
      const verdict = this.#place(event);
      if (verdict === "hole") {
        hole = true;
        break;
      }
      if (verdict === "next") taken.push(event);
    }
    if (taken.length) this.#options.handlers?.onEvents?.(taken);
    if (hole) this.reconnectNow();
  }

  /** Where an event stands: `next` is taken, `known` was seen before, `hole` means that events before it are missing. */
  #place(event: RoomEvent): "next" | "known" | "hole" {
    if (event.offset === undefined || event.offset === null) return "next";
    const position = this.#position;
    const sameEpoch = position !== null && (!event.epoch || event.epoch === position.epoch);
    if (sameEpoch && event.offset <= position.offset) return "known";
    if (position && (!sameEpoch || event.offset > position.offset + 1) && this.#mayRecover()) return "hole";
    this.#position = { epoch: event.epoch ?? position?.epoch ?? "", offset: event.offset };
    return "next";
  }

  /** One recovery in five seconds: a server that cannot fill the hole must not make the client spin. */
  #mayRecover(): boolean {
    if (this.#now() - this.#lastGap < 5_000) return false;
    this.#lastGap = this.#now();
    return true;
  }

  #onClose(socket: Socket, code: number): void {
    if (socket !== this.#socket) return;
    this.#drop(CLOSE.normal);
    this.#refused = code === CLOSE.badToken;
    this.#later(backoffMs(this.#attempt++, this.#options.random));
  }

  /** Connect again after a while; an open socket keeps working until then. */
  #later(delayMs: number): void {
    clearTimeout(this.#retry);
    if (this.#state !== "open") this.#set("waiting");
    this.#retry = setTimeout(() => {
      this.#drop(CLOSE.normal);
      void this.#connect();
    }, delayMs);
  }

  #watch(): void {
    clearInterval(this.#heartbeat);
    this.#heartbeat = setInterval(() => {
      const silent = this.#now() - this.#heard;
      if (silent > (this.#state === "open" ? SILENCE_MS : WELCOME_MS)) {
        this.#drop(CLOSE.normal);
        this.#later(backoffMs(this.#attempt++, this.#options.random));
      } else if (this.#state === "open") {
        this.#pingSent = this.#now();
        this.#send({ type: "ping" });
      }
    }, PING_MS);
  }

  #drop(code: number): void {
    this.#generation++;
    clearTimeout(this.#retry);
    clearInterval(this.#heartbeat);
    const socket = this.#socket;
    this.#socket = null;
    if (this.#state === "open") this.#set("waiting");
    if (!socket) return;
    socket.onopen = socket.onclose = socket.onmessage = null;
    socket.close(code);
  }

  #send(frame: Record<string, unknown>): boolean {
    if (this.#socket?.readyState !== 1) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  #set(state: Connection): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#options.handlers?.onConnection?.(state);
  }

  #now(): number {
    return (this.#options.now ?? Date.now)();
  }
}

function openSocket(url: string): Socket {
  return new WebSocket(url);
}
