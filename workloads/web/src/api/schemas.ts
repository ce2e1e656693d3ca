/**
 * Shapes of what comes from outside, as docs/explanation/contracts.md has them.
 *
 * Checked once at the border. Unknown members pass (servers grow), missing optional ones get a neutral value.
 */
import * as s from "./shape";

const orEmpty = s.withDefault(s.string, "");

export const money = s.object({ amount: s.integer, currency: s.string });

export const product = s.object({
  sku: s.string,
  title: s.string,
  titles: s.optional(s.record(s.string)),
  description: orEmpty,
  image: orEmpty,
  price: money,
  list_price: s.optional(money),
  stock: s.optional(s.integer),
});

export const saleItem = s.object({
  sku: s.string,
  title: s.string,
  image: orEmpty,
  price: money,
  list_price: s.optional(money),
  stock: s.integer,
  left: s.integer,
  per_user_limit: s.integer,
});

export const sale = s.object({
  id: s.string,
  name: s.string,
  phase: s.string,
  starts_at_ms: s.number,
  ends_at_ms: s.number,
  server_now_ms: s.optional(s.number),
  items: s.array(saleItem),
});

/** A channel is its name, or an object that has one. */
const channel: s.Shape<string> = (value, path) => {
  if (typeof value === "string") return value;
  const parts = s.object({ name: s.string, displayName: s.optional(s.string) })(value, path);
  return parts.displayName || parts.name;
};

const streamFields = {
  id: s.string,
  title: orEmpty,
  description: orEmpty,
  channel: s.withDefault(channel, ""),
  phase: orEmpty,
  viewers: s.withDefault(s.number, 0),
  language: orEmpty,
};

export const streamSummary = s.object(streamFields);
export const streamList = s.object({ items: s.array(streamSummary) });
export const streamDetail = s.object({
  ...streamFields,
  products: s.withDefault(s.array(product), []),
  sale: s.optional(sale),
  server_now_ms: s.number,
});

export const recommendations = s.object({ items: s.array(product), source: s.string });

export const user = s.object({ id: s.string, name: s.string, role: s.string });
export const session = s.object({ token: s.string, expires_in: s.number, user });

export const orderResultFields = {
  id: s.string,
  status: s.string,
  order_id: s.optional(s.string),
  hold_expires_ms: s.optional(s.number),
  detail: s.optional(s.string),
};
export const orderResult = s.object(orderResultFields);

export const order = s.object({
  id: s.string,
  status: s.string,
  total: s.optional(money),
  hold_expires_ms: s.optional(s.number),
});

export const rung = s.object({
  state: s.string,
  width: s.number,
  height: s.number,
  fps: s.number,
  kbps: s.number,
});

export const studio = s.object({
  stream_key: s.string,
  rtmp_url: orEmpty,
  receiving: s.boolean,
  playable: s.boolean,
  bitrate_kbps: s.optional(s.number),
  fps: s.optional(s.number),
  speed: s.optional(s.number),
  since_ms: s.optional(s.number),
  rungs: s.withDefault(s.record(rung), {}),
});

export type Money = s.Infer<typeof money>;
export type Product = s.Infer<typeof product>;
export type SaleItem = s.Infer<typeof saleItem>;
export type Sale = s.Infer<typeof sale>;
export type StreamSummary = s.Infer<typeof streamSummary>;
export type StreamDetail = s.Infer<typeof streamDetail>;
export type Recommendations = s.Infer<typeof recommendations>;
export type User = s.Infer<typeof user>;
export type Session = s.Infer<typeof session>;
export type OrderResult = s.Infer<typeof orderResult>;
export type Order = s.Infer<typeof order>;
export type StudioInfo = s.Infer<typeof studio>;
