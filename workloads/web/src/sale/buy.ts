/**
 * The buy button as a pure machine: what the buyer did and what the ledger said, then what the button shows.
 *
 * Two inputs stay apart on purpose. `BuyState` is this buyer's own story and moves only by answers; the sale's phase and
 * what is left come from the room. A reservation therefore survives the sale selling out around it.
 */
import type { OrderResult, Sale } from "@/api/schemas";

export type Refusal = "sold_out" | "limit" | "closed" | "not_open" | "unknown_sku" | "error";

export type BuyState =
  | { kind: "idle" }
  | { kind: "waiting"; id: string; holdOn: boolean }
  | { kind: "reserved"; orderId: string; expiresMs: number; paying: boolean; problem: string | null }
  | { kind: "paid"; orderId: string }
  | { kind: "expired" }
  | { kind: "refused"; why: Refusal; detail: string };

export type BuyAction =
  | { type: "tap"; id: string }
  | { type: "holdOn"; id: string }
  | { type: "answer"; id: string; result: OrderResult }
  | { type: "restored"; orderId: string; expiresMs: number; status: string }
  | { type: "pay" }
  | { type: "paid"; orderId: string }
  | { type: "payFailed"; detail: string; expired: boolean }
  | { type: "holdExpired" }
  | { type: "available" }
  | { type: "dismiss" };

export const IDLE: BuyState = { kind: "idle" };

export function buyReducer(state: BuyState, action: BuyAction): BuyState {
  switch (action.type) {
    case "tap":
      return state.kind === "waiting" || state.kind === "reserved"
        ? state
        : { kind: "waiting", id: action.id, holdOn: false };
    case "holdOn":
      return state.kind === "waiting" && state.id === action.id ? { ...state, holdOn: true } : state;
    case "answer":
      return state.kind === "waiting" && state.id === action.id ? answered(action.result) : state;
    case "restored":
      return restored(action);
    case "pay":
      return state.kind === "reserved" ? { ...state, paying: true, problem: null } : state;
    case "paid":
      return { kind: "paid", orderId: action.orderId };
    case "payFailed":
      if (state.kind !== "reserved") return state;
      return action.expired ? { kind: "expired" } : { ...state, paying: false, problem: action.detail };
    case "holdExpired":
      return state.kind === "reserved" && !state.paying ? { kind: "expired" } : state;
    case "available":
      return state.kind === "refused" && (state.why === "sold_out" || state.why === "not_open")
        ? IDLE
        : state;
    case "dismiss":
      return state.kind === "waiting" || state.kind === "reserved" ? state : IDLE;
  }
}

const REFUSALS: readonly string[] = ["sold_out", "limit", "closed", "not_open", "unknown_sku"];

function answered(result: OrderResult): BuyState {
  if (result.status === "reserved" && result.order_id) {
    return {
      kind: "reserved",
      orderId: result.order_id,
      expiresMs: result.hold_expires_ms ?? 0,
      paying: false,
      problem: null,
    };
  }
  if (result.status === "paid" && result.order_id) return { kind: "paid", orderId: result.order_id };
  if (result.status === "expired" || result.status === "cancelled") return { kind: "expired" };
  const why = REFUSALS.includes(result.status) ? (result.status as Refusal) : "error";
  return { kind: "refused", why, detail: result.detail ?? "" };
}

function restored(order: { orderId: string; expiresMs: number; status: string }): BuyState {
  if (order.status === "paid") return { kind: "paid", orderId: order.orderId };
  if (order.status !== "held") return { kind: "expired" };
  return {
    kind: "reserved",
    orderId: order.orderId,
    expiresMs: order.expiresMs,
    paying: false,
    problem: null,
  };
}

export type ButtonView =
  | "countdown"
  | "opening"
  | "buy"
  | "waiting"
  | "holdOn"
  | "reserved"
  | "paying"
  | "paid"
  | "expired"
  | "soldOut"
  | "limit"
  | "closed"
  | "paused"
  | "error";

/** What the button shows. `nowMs` is the server's time. */
export function buttonView(state: BuyState, sale: Sale, sku: string, nowMs: number): ButtonView {
  const own = ownView(state);
  if (own) return own;
  switch (sale.phase) {
    case "Closed":
    case "Cancelled":
    case "Settled":
      return "closed";
    case "Paused":
      return "paused";
  }
  if (nowMs >= sale.ends_at_ms) return "closed";
  if (nowMs < sale.starts_at_ms) return "countdown";
  if (sale.phase === "Scheduled" || sale.phase === "Countdown") return "opening";
  const item = sale.items.find((candidate) => candidate.sku === sku);
  if (sale.phase === "SoldOut" || !item || item.left <= 0) return "soldOut";
  if (state.kind === "refused") return REFUSED_VIEW[state.why];
  return state.kind === "expired" ? "expired" : "buy";
}

const REFUSED_VIEW: Record<Refusal, ButtonView> = {
  sold_out: "soldOut",
  limit: "limit",
  closed: "closed",
  not_open: "opening",
  unknown_sku: "error",
  error: "error",
};

/** What the buyer's own story shows whatever the sale does. */
function ownView(state: BuyState): ButtonView | null {
  switch (state.kind) {
    case "waiting":
      return state.holdOn ? "holdOn" : "waiting";
    case "reserved":
      return state.paying ? "paying" : "reserved";
    case "paid":
      return "paid";
    case "refused":
      return state.why === "limit" ? "limit" : null;
    default:
      return null;
  }
}
