import { describe, expect, it } from "vitest";
import type { RoomEvent, Welcome } from "./protocol";
import { applied, EMPTY, failed, sending, sent, welcomed } from "./state";

const me = { id: "u1", name: "Rina", role: "viewer" };
const event = (name: string, data: Record<string, unknown>, offset?: number): RoomEvent => ({
  type: "event",
  room: "shop/launch",
  event: name,
  data,
  ts_ms: 10,
  ...(offset === undefined ? {} : { offset }),
});
const chat = (text: string, offset: number, user = me) => event("chat", { text, user }, offset);
const state = { ...EMPTY, user: me };

describe("own messages", () => {
  it("are there at once and once, when the copy comes before the acknowledgement", () => {
    let now = sending(state, { id: "c1", text: "hello", at: 1 });
    expect(now.chat.map((item) => item.status)).toEqual(["sending"]);
    now = applied(now, [chat("hello", 5)]);
    now = sent(now, "c1", 5);
    expect(now.chat).toHaveLength(1);
    expect(now.chat[0]).toMatchObject({ key: "c1", offset: 5, status: "sent", own: true });
  });

  it("are there once, when the acknowledgement comes first", () => {
    let now = sending(state, { id: "c1", text: "hello", at: 1 });
    now = sent(now, "c1", 5);
    now = applied(now, [chat("hello", 5)]);
    expect(now.chat).toHaveLength(1);
  });

  it("stay two when the same text was said twice", () => {
    let now = sending(state, { id: "c1", text: "hello", at: 1 });
    now = sending(now, { id: "c2", text: "hello", at: 2 });
    now = applied(now, [chat("hello", 5), chat("hello", 6)]);
    expect(now.chat.map((item) => item.offset)).toEqual([5, 6]);
  });

  it("keep the reason when they are refused", () => {
    const now = failed(sending(state, { id: "c1", text: "x", at: 1 }), "c1", "Slow.");
    expect(now.chat[0]).toMatchObject({ status: "failed", problem: "Slow." });
  });
});

describe("events", () => {
  it("pin the newest last and unpin by article", () => {
    const pin = (sku: string) => event("pin", { sku, title: sku, price: { amount: 1, currency: "BDT" } }, 1);
    const now = applied(state, [pin("A"), pin("B"), pin("A")]);
    expect(now.pins.map((item) => item.sku)).toEqual(["B", "A"]);
    expect(applied(now, [event("unpin", { sku: "A" }, 2)]).pins.map((item) => item.sku)).toEqual(["B"]);
  });

  it("leave the state alone when their data is not as agreed", () => {
    const odd = [
      event("chat", { text: 5 }),
      event("pin", {}),
      event("sale.tick", { id: 3 }),
      event("news", {}),
    ];
    expect(applied(state, odd)).toEqual(state);
  });

  it("restore a room from its history, and its pins from the snapshot", () => {
    const frame: Welcome = {
      type: "welcome",
      user: me,
      epoch: "e1",
      offset: 2,
      recovered: false,
      history: [chat("old", 1), event("pin", { sku: "GONE", title: "Gone" }, 2)],
      state: { pins: [{ sku: "A", title: "A" }], viewers: 3, sale: null, stream: { phase: "Live" } },
    };
    const now = welcomed(EMPTY, frame, true);
    expect(now).toMatchObject({ viewers: 3, phase: "Live", pins: [{ sku: "A" }] });
    expect(now.chat.map((item) => item.text)).toEqual(["old"]);
  });
});
