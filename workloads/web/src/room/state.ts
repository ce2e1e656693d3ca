/**
 * What a viewer sees of a room, as a pure function of its events.
 *
 * Own messages show at once and are matched with the room's copy by id, by the offset of the acknowledgement, or by
 * author and text, whichever comes first.
 */
import { money, type Sale, sale as saleShape, type User } from "@/api/schemas";
import * as s from "@/api/shape";
import type { RoomEvent, Welcome } from "./protocol";

export interface ChatMessage {
  /** Stable for the list: the client's id of an own message, else the offset. */
  key: string;
  offset: number | null;
  author: { id: string; name: string; role: string };
  text: string;
  at: number;
  own: boolean;
  status: "sending" | "sent" | "failed";
  problem?: string;
}

const pinShape = s.object({
  sku: s.string,
  title: s.withDefault(s.string, ""),
  titles: s.optional(s.record(s.string)),
  image: s.optional(s.string),
  price: s.optional(money),
  list_price: s.optional(money),
});

export type Pin = s.Infer<typeof pinShape>;

export interface RoomState {
  user: User | null;
  phase: string | null;
  viewers: number | null;
  chat: ChatMessage[];
  pins: Pin[];
  sale: Sale | null;
}

export const EMPTY: RoomState = { user: null, phase: null, viewers: null, chat: [], pins: [], sale: null };
const KEEP = 200;

export function welcomed(state: RoomState, frame: Welcome, fresh: boolean): RoomState {
  const waiting = state.chat.filter((message) => message.status !== "sent");
  const base: RoomState = {
    ...state,
    chat: fresh ? waiting : state.chat,
    user: frame.user,
    pins: frame.state.pins.flatMap(pinOf),
    viewers: frame.state.viewers ?? state.viewers,
    phase: frame.state.stream?.phase || state.phase,
  };
  // The snapshot is newer than the history: only the history's chat is applied.
  const chats = frame.history.filter((event) => event.event.startsWith("chat"));
  const next = applied(base, chats);
  return { ...next, sale: frame.state.sale ?? (fresh ? null : state.sale) ?? state.sale };
}

export function applied(state: RoomState, events: readonly RoomEvent[]): RoomState {
  return events.reduce(apply, state);
}

function apply(state: RoomState, event: RoomEvent): RoomState {
  const { data } = event;
  switch (event.event) {
    case "chat":
      return withChat(state, event);
    case "chat.deleted":
      return { ...state, chat: state.chat.filter((message) => !isDeleted(message, data)) };
    case "pin": {
      const [pin] = pinOf(data);
      return pin ? { ...state, pins: [...state.pins.filter((item) => item.sku !== pin.sku), pin] } : state;
    }
    case "unpin":
      return { ...state, pins: state.pins.filter((item) => data.sku !== undefined && item.sku !== data.sku) };
    case "stream.state":
      return typeof data.phase === "string" && data.phase ? { ...state, phase: data.phase } : state;
    case "viewers.tick":
      return withViewers(state, data);
    default:
      return event.event.startsWith("sale.") ? withSale(state, data) : state;
  }
}

function withViewers(state: RoomState, data: Record<string, unknown>): RoomState {
  const viewers = data.viewers ?? data.n ?? data.count;
  return typeof viewers === "number" ? { ...state, viewers } : state;
}

function withSale(state: RoomState, data: Record<string, unknown>): RoomState {
  const sale = s.check(saleShape, data);
  return sale ? { ...state, sale } : state;
}

function withChat(state: RoomState, event: RoomEvent): RoomState {
  const message = messageOf(event, state.user?.id ?? null);
  if (!message) return state;
  const known = state.chat.findIndex((item) => sameMessage(item, message, event.data.id));
  const chat = [...state.chat];
  if (known >= 0) {
    chat[known] = { ...message, key: chat[known]?.key ?? message.key };
    return { ...state, chat };
  }
  chat.push(message);
  return { ...state, chat: chat.slice(-KEEP) };
}

function sameMessage(known: ChatMessage, arrived: ChatMessage, id: unknown): boolean {
  if (known.offset !== null) return known.offset === arrived.offset;
  if (!known.own) return false;
  return known.key === id || (arrived.own && known.text === arrived.text);
}

function messageOf(event: RoomEvent, me: string | null): ChatMessage | null {
  const { data } = event;
  if (typeof data.text !== "string") return null;
  const nested =
    typeof data.user === "object" && data.user !== null ? (data.user as Record<string, unknown>) : {};
  const id = text(nested.id) || text(data.user_id) || text(data.sub) || text(data.user);
  const author = {
    id,
    name: text(nested.name) || text(data.name) || "?",
    role: text(nested.role) || text(data.role),
  };
  const offset = event.offset ?? null;
  return {
    key: offset === null ? `${event.ts_ms}-${author.id}` : `o${offset}`,
    offset,
    author,
    text: data.text,
    at: event.ts_ms ?? 0,
    own: author.id !== "" && author.id === me,
    status: "sent",
  };
}

/** An own message, before the room has it. */
export function sending(state: RoomState, message: { id: string; text: string; at: number }): RoomState {
  const user = state.user ?? { id: "", name: "", role: "viewer" };
  const own: ChatMessage = {
    key: message.id,
    offset: null,
    author: { id: user.id, name: user.name, role: user.role },
    text: message.text,
    at: message.at,
    own: true,
    status: "sending",
  };
  return { ...state, chat: [...state.chat, own].slice(-KEEP) };
}

/** The room has it: as `offset`, unless its copy came first. */
export function sent(state: RoomState, id: string, offset: number | null): RoomState {
  const copy = offset !== null && state.chat.some((item) => item.key !== id && item.offset === offset);
  const chat = copy
    ? state.chat.filter((item) => item.key !== id)
    : state.chat.map((item) =>
        item.key === id ? { ...item, offset: item.offset ?? offset, status: "sent" as const } : item,
      );
  return { ...state, chat };
}

export function failed(state: RoomState, id: string, problem: string): RoomState {
  const chat = state.chat.map((item) =>
    item.key === id ? { ...item, status: "failed" as const, problem } : item,
  );
  return { ...state, chat };
}

function isDeleted(message: ChatMessage, data: Record<string, unknown>): boolean {
  if (message.offset !== null && message.offset === data.offset) return true;
  return typeof data.user_id === "string" && message.author.id === data.user_id;
}

function pinOf(data: Record<string, unknown>): Pin[] {
  const pin = s.check(pinShape, data);
  return pin ? [pin] : [];
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}
