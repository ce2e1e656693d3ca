/** Frames of the room's socket (docs/explanation/contracts.md), checked once when they arrive. */
import { orderResultFields, sale, user } from "@/api/schemas";
import * as s from "@/api/shape";

const data = s.record(s.unknown);

export const roomEvent = s.object({
  type: s.literal("event"),
  room: s.string,
  event: s.string,
  data,
  ts_ms: s.optional(s.number),
  offset: s.optional(s.number),
  epoch: s.optional(s.string),
});

const SHAPES = {
  welcome: s.object({
    type: s.literal("welcome"),
    user,
    epoch: s.nullable(s.string),
    offset: s.withDefault(s.number, 0),
    recovered: s.boolean,
    history: s.withDefault(s.array(roomEvent), []),
    state: s.object({
      pins: s.withDefault(s.array(data), []),
      viewers: s.optional(s.number),
      // A sale that this client cannot read must not keep people out of the room.
      sale: (value: unknown) => s.check(sale, value),
      stream: s.optional(s.object({ phase: s.optional(s.string) })),
    }),
    now_ms: s.optional(s.number),
  }),
  event: roomEvent,
  batch: s.object({ type: s.literal("batch"), events: s.array(roomEvent) }),
  ack: s.object({ type: s.literal("ack"), id: s.string, offset: s.optional(s.number) }),
  "order.result": s.object({ ...orderResultFields, type: s.literal("order.result") }),
  error: s.object({
    type: s.literal("error"),
    code: s.string,
    detail: s.optional(s.string),
    field: s.optional(s.string),
    retry_after: s.optional(s.number),
    id: s.optional(s.string),
  }),
  reconnect: s.object({ type: s.literal("reconnect"), after_ms: s.withDefault(s.number, 0) }),
  pong: s.object({ type: s.literal("pong"), now_ms: s.optional(s.number) }),
};

export type RoomEvent = s.Infer<typeof roomEvent>;
export type Welcome = s.Infer<typeof SHAPES.welcome>;
export type ServerFrame = { [K in keyof typeof SHAPES]: s.Infer<(typeof SHAPES)[K]> }[keyof typeof SHAPES];
export type ErrorFrame = s.Infer<typeof SHAPES.error>;

/** Close codes that the client treats in a way of their own. */
export const CLOSE = { badToken: 4001, gone: 1001, normal: 1000 } as const;

/** The checked frame; null for anything else (a newer server may send more than this client knows). */
export function parseFrame(text: unknown): ServerFrame | null {
  if (typeof text !== "string") return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const type = s.check(s.object({ type: s.string }), value)?.type;
  if (type === undefined || !Object.hasOwn(SHAPES, type)) return null;
  return s.check<ServerFrame>(SHAPES[type as keyof typeof SHAPES], value);
}
