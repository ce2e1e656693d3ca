import { describe, expect, it } from "vitest";
import type { Sale } from "@/api/schemas";
import { type BuyAction, type BuyState, buttonView, buyReducer, IDLE } from "./buy";

const SKU = "SAREE-RED";
const NOW = 1_000_000;
const money = { amount: 290_000, currency: "BDT" };

function saleOf(more: Partial<Sale> = {}, left = 5): Sale {
  return {
    id: "s1",
    name: "launch-sale",
    phase: "Open",
    starts_at_ms: NOW - 1_000,
    ends_at_ms: NOW + 60_000,
    items: [{ sku: SKU, title: "Saree", image: "", price: money, stock: 20, left, per_user_limit: 1 }],
    ...more,
  };
}

const run = (...actions: BuyAction[]): BuyState => actions.reduce(buyReducer, IDLE);
const tap: BuyAction = { type: "tap", id: "k1" };
const answer = (status: string, id = "k1"): BuyAction => ({
  type: "answer",
  id,
  result: { id, status, ...(status === "reserved" ? { order_id: "o1", hold_expires_ms: NOW + 9_000 } : {}) },
});

describe("buyReducer", () => {
  it("goes from tap over hold-on to reserved, paying and paid", () => {
    const reserved = run(tap, { type: "holdOn", id: "k1" }, answer("reserved"));
    expect(reserved).toMatchObject({ kind: "reserved", orderId: "o1", paying: false });
    const paying = buyReducer(reserved, { type: "pay" });
    expect(paying).toMatchObject({ paying: true });
    expect(buyReducer(paying, { type: "paid", orderId: "o1" })).toEqual({ kind: "paid", orderId: "o1" });
  });

  it("ignores a second tap and an answer to another one", () => {
    expect(run(tap, { type: "tap", id: "k2" })).toMatchObject({ kind: "waiting", id: "k1" });
    expect(run(tap, answer("reserved", "k2"))).toMatchObject({ kind: "waiting" });
  });

  it("does not let a hold run out while it is being paid", () => {
    const paying = run(tap, answer("reserved"), { type: "pay" });
    expect(buyReducer(paying, { type: "holdExpired" })).toBe(paying);
    expect(run(tap, answer("reserved"), { type: "holdExpired" })).toEqual({ kind: "expired" });
  });

  it("keeps the reservation when a payment fails, unless it ran out", () => {
    const paying = run(tap, answer("reserved"), { type: "pay" });
    const failed = (expired: boolean) => buyReducer(paying, { type: "payFailed", detail: "no", expired });
    expect(failed(false)).toMatchObject({ kind: "reserved", paying: false, problem: "no" });
    expect(failed(true)).toEqual({ kind: "expired" });
  });

  it("wakes up when units come back, but not over a limit", () => {
    expect(run(tap, answer("sold_out"), { type: "available" })).toEqual(IDLE);
    expect(run(tap, answer("limit"), { type: "available" })).toMatchObject({ kind: "refused", why: "limit" });
  });

  it("treats a reservation without an order as an error", () => {
    const odd: BuyAction = { type: "answer", id: "k1", result: { id: "k1", status: "reserved" } };
    expect(run(tap, odd)).toMatchObject({ kind: "refused", why: "error" });
  });
});

describe("buttonView", () => {
  const reserved = run(tap, answer("reserved"));
  it.each<[string, BuyState, Sale, string]>([
    ["before the start", IDLE, saleOf({ phase: "Countdown", starts_at_ms: NOW + 1 }), "countdown"],
    ["at the start, not yet told", IDLE, saleOf({ phase: "Countdown" }), "opening"],
    ["open", IDLE, saleOf(), "buy"],
    ["tapped", run(tap), saleOf(), "waiting"],
    ["tapped and asked to hold on", run(tap, { type: "holdOn", id: "k1" }), saleOf(), "holdOn"],
    ["reserved", reserved, saleOf(), "reserved"],
    ["reserved while it sells out", reserved, saleOf({ phase: "SoldOut" }, 0), "reserved"],
    ["reserved after the end", reserved, saleOf({ phase: "Closed" }, 0), "reserved"],
    ["paying", buyReducer(reserved, { type: "pay" }), saleOf(), "paying"],
    ["paid", { kind: "paid", orderId: "o1" }, saleOf({ phase: "Closed" }), "paid"],
    ["expired", { kind: "expired" }, saleOf(), "expired"],
    ["sold out for all", IDLE, saleOf({ phase: "SoldOut" }, 0), "soldOut"],
    ["nothing left, not yet told", IDLE, saleOf({}, 0), "soldOut"],
    ["sold out for me", run(tap, answer("sold_out")), saleOf(), "soldOut"],
    ["limit", run(tap, answer("limit")), saleOf(), "limit"],
    ["limit stays after the sale sold out", run(tap, answer("limit")), saleOf({}, 0), "limit"],
    ["not open on the server's clock", run(tap, answer("not_open")), saleOf(), "opening"],
    ["closed", IDLE, saleOf({ phase: "Closed" }), "closed"],
    ["over by the clock", IDLE, saleOf({ ends_at_ms: NOW }), "closed"],
    ["paused", IDLE, saleOf({ phase: "Paused" }), "paused"],
    ["failed", run(tap, answer("boom")), saleOf(), "error"],
  ])("%s", (_, state, sale, view) => {
    expect(buttonView(state, sale, SKU, NOW)).toBe(view);
  });
});
