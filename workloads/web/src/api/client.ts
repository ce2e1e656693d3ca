/** Every HTTP call of the application, by name. Paths are those of docs/explanation/contracts.md. */
import { type RequestOptions, request } from "./http";
import * as schemas from "./schemas";
import { unknown } from "./shape";

const base = "/api/v1";
const path = (...parts: string[]) => parts.map(encodeURIComponent).join("/");

type Signal = Pick<RequestOptions, "signal">;

export const api = {
  streams: (options: Signal = {}) => request(`${base}/streams`, schemas.streamList, options),

  stream: (id: string, options: Signal = {}) =>
    request(`${base}/streams/${path(...id.split("/"))}`, schemas.streamDetail, options),

  recommendations: (id: string, sku: string, options: Signal = {}) =>
    request(
      `${base}/streams/${path(...id.split("/"))}/recommendations?sku=${encodeURIComponent(sku)}`,
      schemas.recommendations,
      options,
    ),

  sale: (id: string, options: Signal = {}) => request(`${base}/sales/${path(id)}`, schemas.sale, options),

  startSale: (id: string, token: string, countdownSeconds = 10) =>
    request(`${base}/sales/${path(id)}/start`, schemas.sale, {
      method: "POST",
      token,
      body: { countdown_seconds: countdownSeconds },
    }),

  buy: (saleId: string, token: string, tap: { sku: string; qty: number; id: string }) =>
    request(`${base}/sales/${path(saleId)}/buy`, schemas.orderResult, {
      method: "POST",
      token,
      body: { sku: tap.sku, qty: tap.qty, idempotency_key: tap.id },
    }),

  order: (id: string, token: string, options: Signal = {}) =>
    request(`${base}/orders/${path(id)}`, schemas.order, { ...options, token }),

  pay: (id: string, token: string) =>
    request(`${base}/orders/${path(id)}/pay`, schemas.order, {
      method: "POST",
      token,
      body: { method: "test" },
    }),

  viewed: (stream: string, sku: string, token: string) =>
    request(`${base}/events`, unknown, {
      method: "POST",
      token,
      body: { type: "product.view", stream, sku },
    }),

  session: (name: string) => request(`${base}/session`, schemas.session, { method: "POST", body: { name } }),

  studio: (id: string, token: string, options: Signal = {}) =>
    request(`/streams/${path(...id.split("/"))}/studio`, schemas.studio, { ...options, token }),
};
