import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { OrderResult } from "@/api/schemas";
import { RoomClient, type RoomOptions, type Socket } from "./client";
import { PublishRefused, type Tap } from "./outbox";
import type { RoomEvent } from "./protocol";

const ROOM = "shop/launch";

/** A socket whose other end is the test. */
class Line implements Socket {
  readyState = 0;
  onopen: Socket["onopen"] = null;
  onclose: Socket["onclose"] = null;
  onmessage: Socket["onmessage"] = null;
  onerror: Socket["onerror"] = null;
  readonly frames: Record<string, unknown>[] = [];

  send(text: string): void {
    this.frames.push(JSON.parse(text));
  }

  close(): void {
    this.readyState = 3;
  }

  open(): void {
    this.readyState = 1;
    this.onopen?.(new Event("open"));
  }

  says(frame: Record<string, unknown>): void {
    this.onmessage?.(new MessageEvent("message", { data: JSON.stringify(frame) }));
  }

  breaks(code = 1006): void {
    this.readyState = 3;
    this.onclose?.(new CloseEvent("close", { code }));
  }

  sent(type: string): Record<string, unknown>[] {
    return this.frames.filter((frame) => frame.type === type);
  }
}

const welcome = (offset: number, more: Record<string, unknown> = {}) => ({
  type: "welcome",
  user: { id: "u1", name: "Rina", role: "viewer" },
  room: ROOM,
  epoch: "e1",
  offset,
  recovered: false,
  history: [],
  state: { pins: [], viewers: 1, sale: null, stream: { phase: "Live" } },
  now_ms: 1_000,
  ...more,
});

const chat = (offset: number, epoch = "e1") => ({
  type: "event",
  room: ROOM,
  event: "chat",
  data: { text: `m${offset}` },
  ts_ms: 1,
  offset,
  epoch,
});

const tap: Tap = { sale: "s1", sku: "SAREE-RED", qty: 1, id: "key-00000001" };
const reserved: OrderResult = { id: tap.id, status: "reserved", order_id: "o1", hold_expires_ms: 5 };

function setup(more: Partial<RoomOptions> = {}) {
  const lines: Line[] = [];
  const seen: RoomEvent[] = [];
  const fresh: boolean[] = [];
  const token = vi.fn((_refused: boolean) => Promise.resolve("token"));
  const client = new RoomClient({
    url: "ws://test/ws",
    room: ROOM,
    token,
    random: () => 0,
    open: () => {
      const line = new Line();
      lines.push(line);
      return line;
    },
    handlers: {
      onWelcome: (frame, isFresh) => {
        fresh.push(isFresh);
        seen.push(...frame.history);
      },
      onEvents: (events) => seen.push(...events),
    },
    ...more,
  });
  const last = () => {
    const line = lines.at(-1);
    if (!line) throw new Error("no connection yet");
    return line;
  };
  const join = async (frame: Record<string, unknown>) => {
    await vi.advanceTimersByTimeAsync(0);
    last().open();
    last().says(frame);
  };
  const offsets = () => seen.map((event) => event.offset);
  return { client, lines, last, join, offsets, fresh, token };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("recovery", () => {
  it("says hello without a position first and with epoch and offset after a break", async () => {
    const { client, last, join, offsets, fresh } = setup();
    client.start();
    await join(welcome(4));
    expect(last().sent("hello")[0]).toEqual({ type: "hello", token: "token", rooms: [ROOM] });
    last().says(chat(5));
    last().breaks();
    await vi.advanceTimersByTimeAsync(300);
    await join(welcome(7, { recovered: true, history: [chat(6), chat(7)] }));
    expect(last().sent("hello")[0]?.since).toEqual({ [ROOM]: { epoch: "e1", offset: 5 } });
    expect(offsets()).toEqual([5, 6, 7]);
    expect(fresh).toEqual([true, false]);
  });

  it("drops what it has seen already", async () => {
    const { client, last, join, offsets } = setup();
    client.start();
    await join(welcome(4));
    last().says({ type: "batch", events: [chat(5), chat(6)] });
    last().says(chat(6));
    expect(offsets()).toEqual([5, 6]);
  });

  it("comes back with its last whole position when offsets have a hole", async () => {
    const { client, lines, last, join, offsets } = setup();
    client.start();
    await join(welcome(4));
    last().says({ type: "batch", events: [chat(5), chat(8)] });
    await vi.advanceTimersByTimeAsync(0);
    expect(lines).toHaveLength(2);
    await join(welcome(8, { recovered: true, history: [chat(6), chat(7), chat(8)] }));
    expect(last().sent("hello")[0]?.since).toEqual({ [ROOM]: { epoch: "e1", offset: 5 } });
    expect(offsets()).toEqual([5, 6, 7, 8]);
  });

  it("does not spin when the server cannot fill the hole", async () => {
    const { client, lines, last, join } = setup();
    client.start();
    await join(welcome(4));
    last().says(chat(9));
    await join(welcome(9, { recovered: false }));
    last().says(chat(12));
    await vi.advanceTimersByTimeAsync(0);
    expect(lines).toHaveLength(2);
    expect(client.position).toEqual({ epoch: "e1", offset: 12 });
  });

  it("takes ephemeral events without a position", async () => {
    const { client, last, join, offsets } = setup();
    client.start();
    await join(welcome(4));
    last().says({ type: "event", room: ROOM, event: "viewers.tick", data: { viewers: 9 }, ts_ms: 1 });
    expect(offsets()).toEqual([undefined]);
    expect(client.position?.offset).toBe(4);
  });

  it("asks for another token after a refusal", async () => {
    const { client, last, join, token } = setup();
    client.start();
    await join(welcome(0));
    last().breaks(4001);
    await vi.advanceTimersByTimeAsync(300);
    expect(token.mock.calls).toEqual([[false], [true]]);
  });

  it("keeps the old connection until the announced moment", async () => {
    const { client, lines, last, join } = setup();
    client.start();
    await join(welcome(0));
    last().says({ type: "reconnect", after_ms: 2_000 });
    await vi.advanceTimersByTimeAsync(1_900);
    expect(client.connection).toBe("open");
    expect(lines).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(200);
    expect(lines).toHaveLength(2);
  });

  it("gives up a silent connection and ignores frames that it does not know", async () => {
    const { client, lines, last, join } = setup();
    client.start();
    await join(welcome(0));
    last().says({ type: "tomorrow" });
    last().onmessage?.(new MessageEvent("message", { data: "{" }));
    expect(client.connection).toBe("open");
    await vi.advanceTimersByTimeAsync(46_000);
    expect(last().sent("ping").length + (lines[0]?.sent("ping").length ?? 0)).toBeGreaterThan(0);
    expect(lines.length).toBeGreaterThan(1);
  });
});

describe("buying", () => {
  it("sends the same key again after a reconnect until it is answered", async () => {
    const { client, last, join } = setup();
    client.start();
    await join(welcome(0));
    const answer = client.buy(tap);
    expect(last().sent("buy")).toEqual([{ type: "buy", ...tap }]);
    last().breaks();
    await vi.advanceTimersByTimeAsync(300);
    await join(welcome(0, { recovered: true }));
    expect(last().sent("buy")).toEqual([{ type: "buy", ...tap }]);
    last().says({ type: "order.result", ...reserved });
    await expect(answer).resolves.toMatchObject(reserved);
    last().breaks();
    await vi.advanceTimersByTimeAsync(300);
    await join(welcome(0, { recovered: true }));
    expect(last().sent("buy")).toEqual([]);
  });

  it("asks again under the same key when told to hold on", async () => {
    const { client, last, join } = setup();
    const held = vi.fn();
    client.start();
    await join(welcome(0));
    const answer = client.buy(tap, held);
    last().says({ type: "order.result", id: tap.id, status: "hold_on" });
    expect(held).toHaveBeenCalledOnce();
    await vi.advanceTimersByTimeAsync(1_600);
    expect(
      last()
        .sent("buy")
        .map((frame) => frame.id),
    ).toEqual([tap.id, tap.id]);
    last().says({ type: "order.result", id: tap.id, status: "sold_out" });
    await expect(answer).resolves.toMatchObject({ status: "sold_out" });
  });

  it("tries again when the room says not so fast, and ends with a refusal for good", async () => {
    const { client, last, join } = setup();
    const held = vi.fn();
    client.start();
    await join(welcome(0));
    const answer = client.buy(tap, held);
    last().says({ type: "error", code: "rate_limited", detail: "Not so fast.", retry_after: 1, id: tap.id });
    expect(held).toHaveBeenCalledOnce();
    await vi.advanceTimersByTimeAsync(1_100);
    expect(last().sent("buy")).toHaveLength(2);
    last().says({ type: "error", code: "unavailable", detail: "This room sells nothing.", id: tap.id });
    await expect(answer).resolves.toMatchObject({ status: "error", detail: "This room sells nothing." });
  });

  it("goes over HTTP while the socket is down", async () => {
    const buyByHttp = vi.fn(() => Promise.resolve(reserved));
    const { client } = setup({ buyByHttp });
    await expect(client.buy(tap)).resolves.toMatchObject({ status: "reserved" });
    expect(buyByHttp).toHaveBeenCalledWith(tap);
  });

  it("is one purchase however often the same key is tapped", async () => {
    const { client, last, join } = setup();
    client.start();
    await join(welcome(0));
    expect(client.buy(tap)).toBe(client.buy(tap));
    expect(last().sent("buy")).toHaveLength(1);
  });
});

describe("publishing", () => {
  it("resolves with the offset and rejects with the refusal", async () => {
    const { client, last, join } = setup();
    client.start();
    await join(welcome(0));
    const first = client.publish("chat", { text: "hi" }, "a");
    const second = client.publish("chat", { text: "hi!" }, "b");
    last().says({ type: "ack", id: "a", offset: 3 });
    last().says({ type: "error", code: "slow_mode", detail: "Slow.", retry_after: 2, id: "b" });
    await expect(first).resolves.toEqual({ offset: 3 });
    await expect(second).rejects.toMatchObject({ code: "slow_mode", retryAfterSeconds: 2 });
    await expect(second).rejects.toBeInstanceOf(PublishRefused);
  });
});
