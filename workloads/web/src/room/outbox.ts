/**
 * What waits for an answer from the room: purchases and publishes.
 *
 * Each has the client's id, and the server does the same thing once for one id. So everything may be sent again: after a
 * reconnect, when no answer came, when the answer was "hold on". A purchase also goes over HTTP while the socket is down.
 */
import type { OrderResult } from "@/api/schemas";
import type { ErrorFrame } from "./protocol";

export interface Tap {
  sale: string;
  sku: string;
  qty: number;
  /** Idempotency key. */
  id: string;
}

interface Publish extends Record<string, unknown> {
  type: "publish";
  event: string;
  id: string;
}

interface Purchase {
  tap: Tap;
  resolve(result: OrderResult): void;
  onHoldOn: ((result: OrderResult) => void) | undefined;
  promise: Promise<OrderResult>;
  timer: ReturnType<typeof setTimeout> | undefined;
}

interface Waiting {
  frame: Publish;
  sent: boolean;
  resolve(ack: { offset: number | null }): void;
  reject(error: PublishRefused): void;
}

interface OutboxOptions {
  /** False when the frame could not be handed to the socket. */
  send(frame: Record<string, unknown>): boolean;
  isOpen(): boolean;
  byHttp: ((tap: Tap) => Promise<OrderResult>) | undefined;
  random(): number;
}

/** The server's refusal of a publish: `code` is stable, such as `slow_mode`. */
export class PublishRefused extends Error {
  override readonly name = "PublishRefused";
  readonly code: string;
  readonly retryAfterSeconds: number | null;

  constructor(frame: Pick<ErrorFrame, "code" | "detail" | "retry_after">) {
    super(frame.detail ?? frame.code);
    this.code = frame.code;
    this.retryAfterSeconds = frame.retry_after ?? null;
  }
}

const ANSWER_MS = 6_000;
const HOLD_ON_MS = 1_500;

export class Outbox {
  readonly #options: OutboxOptions;
  readonly #purchases = new Map<string, Purchase>();
  readonly #publishes = new Map<string, Waiting>();

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  buy(tap: Tap, onHoldOn?: (result: OrderResult) => void): Promise<OrderResult> {
    const known = this.#purchases.get(tap.id);
    if (known) return known.promise;
    let resolve: (result: OrderResult) => void = () => {};
    const promise = new Promise<OrderResult>((done) => {
      resolve = done;
    });
    const purchase: Purchase = { tap, resolve, onHoldOn, promise, timer: undefined };
    this.#purchases.set(tap.id, purchase);
    this.#deliver(purchase);
    return promise;
  }

  publish(frame: Publish): Promise<{ offset: number | null }> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { frame, sent: false, resolve, reject };
      this.#publishes.set(frame.id, waiting);
      if (this.#options.isOpen()) waiting.sent = this.#options.send(frame);
    });
  }

  /** Send everything that has no answer yet; called when a connection has been welcomed. */
  flush(): void {
    for (const purchase of this.#purchases.values()) this.#deliver(purchase);
    for (const waiting of this.#publishes.values()) waiting.sent = this.#options.send(waiting.frame);
  }

  acknowledged(id: string, offset: number | null): void {
    const waiting = this.#publishes.get(id);
    this.#publishes.delete(id);
    waiting?.resolve({ offset });
  }

  answered(result: OrderResult): void {
    const purchase = this.#purchases.get(result.id);
    if (!purchase) return;
    if (result.status === "hold_on") {
      purchase.onHoldOn?.(result);
      this.#again(purchase, HOLD_ON_MS * (1 + this.#options.random()));
      return;
    }
    this.#finish(purchase, result);
  }

  /** Whether the refusal belonged to something here. Without an id it is the oldest publish of this connection. */
  refused(frame: ErrorFrame): boolean {
    const purchase = frame.id ? this.#purchases.get(frame.id) : undefined;
    if (purchase && frame.retry_after !== undefined) {
      this.#again(purchase, frame.retry_after * 1000 + HOLD_ON_MS * this.#options.random());
      purchase.onHoldOn?.({ id: purchase.tap.id, status: "hold_on" });
      return true;
    }
    if (purchase) {
      this.#finish(purchase, { id: purchase.tap.id, status: "error", detail: frame.detail ?? frame.code });
      return true;
    }
    const waiting = frame.id
      ? this.#publishes.get(frame.id)
      : [...this.#publishes.values()].find((item) => item.sent);
    if (!waiting) return false;
    this.#publishes.delete(waiting.frame.id);
    waiting.reject(new PublishRefused(frame));
    return true;
  }

  stop(): void {
    for (const purchase of this.#purchases.values()) clearTimeout(purchase.timer);
    this.#purchases.clear();
    for (const waiting of this.#publishes.values()) waiting.reject(new PublishRefused({ code: "left" }));
    this.#publishes.clear();
  }

  #deliver(purchase: Purchase): void {
    const { tap } = purchase;
    this.#again(purchase, ANSWER_MS * (1 + 0.5 * this.#options.random()));
    if (this.#options.isOpen() && this.#options.send({ type: "buy", ...tap })) return;
    this.#options.byHttp?.(tap).then(
      (result) => this.answered({ ...result, id: tap.id }),
      (error: unknown) => this.#failedByHttp(purchase, error),
    );
  }

  /** A refusal that stays a refusal is the answer; anything else is tried again by the timer that already runs. */
  #failedByHttp(purchase: Purchase, error: unknown): void {
    const final = error instanceof Error && "retryable" in error && error.retryable === false;
    if (final && this.#purchases.has(purchase.tap.id)) {
      this.#finish(purchase, { id: purchase.tap.id, status: "error", detail: error.message });
    }
  }

  #again(purchase: Purchase, delayMs: number): void {
    clearTimeout(purchase.timer);
    purchase.timer = setTimeout(() => this.#deliver(purchase), delayMs);
  }

  #finish(purchase: Purchase, result: OrderResult): void {
    clearTimeout(purchase.timer);
    this.#purchases.delete(purchase.tap.id);
    purchase.resolve(result);
  }
}
