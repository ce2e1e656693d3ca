/**
 * One buyer's purchase of one article: the machine of `buy.ts` with the room, the payment and this tab's memory.
 *
 * The idempotency key is written down before the tap is sent: a page that is loaded again asks about the same tap, not
 * for a second unit.
 */

import { useCallback, useEffect, useReducer, useRef } from "react";
import { api } from "@/api/client";
import { ApiError } from "@/api/problem";
import type { OrderResult, Sale } from "@/api/schemas";
import { useRoom } from "@/room/RoomProvider";
import { uuid } from "@/room/uuid";
import { type BuyState, buyReducer, IDLE } from "./buy";

interface Memory {
  id: string;
  token: string;
  orderId?: string;
}

export interface Purchase {
  state: BuyState;
  buy(): void;
  pay(): void;
  dismiss(): void;
}

export function useBuy(sale: Sale, sku: string): Purchase {
  const room = useRoom();
  const [state, dispatch] = useReducer(buyReducer, IDLE);
  const slot = `haat.buy.${sale.id}.${sku}`;
  const memory = useRef<Memory | null>(null);

  const send = useCallback(
    async (id: string, token: string) => {
      memory.current = { id, token };
      write(slot, memory.current);
      const onHoldOn = (_: OrderResult) => dispatch({ type: "holdOn", id });
      const result = await room.client.buy({ sale: sale.id, sku, qty: 1, id }, onHoldOn);
      memory.current = { id, token, ...(result.order_id ? { orderId: result.order_id } : {}) };
      write(slot, result.order_id ? memory.current : null);
      dispatch({ type: "answer", id, result });
    },
    [room, sale.id, sku, slot],
  );

  useEffect(() => {
    const known = read(slot);
    if (!known) return;
    memory.current = known;
    if (!known.orderId) {
      dispatch({ type: "tap", id: known.id });
      void send(known.id, known.token);
      return;
    }
    const { orderId } = known;
    api.order(orderId, known.token).then(
      (order) =>
        dispatch({ type: "restored", orderId, expiresMs: order.hold_expires_ms ?? 0, status: order.status }),
      () => undefined,
    );
  }, [slot, send]);

  const left = sale.items.find((item) => item.sku === sku)?.left ?? 0;
  useEffect(() => {
    if (sale.phase === "Open" && left > 0) dispatch({ type: "available" });
  }, [sale.phase, left]);

  const expiresMs = state.kind === "reserved" ? state.expiresMs : null;
  useEffect(() => {
    if (expiresMs === null) return;
    const timer = setTimeout(
      () => dispatch({ type: "holdExpired" }),
      Math.max(0, expiresMs - room.clock.now()),
    );
    return () => clearTimeout(timer);
  }, [expiresMs, room]);

  const buy = () => {
    const id = uuid();
    dispatch({ type: "tap", id });
    room.token().then(
      (token) => send(id, token),
      (error: unknown) =>
        dispatch({ type: "answer", id, result: { id, status: "error", detail: messageOf(error) } }),
    );
  };
  const pay = () => {
    if (state.kind !== "reserved" || !memory.current) return;
    dispatch({ type: "pay" });
    api.pay(state.orderId, memory.current.token).then(
      (order) =>
        order.status === "paid"
          ? dispatch({ type: "paid", orderId: order.id })
          : dispatch({ type: "payFailed", detail: order.status, expired: order.status !== "held" }),
      (error: unknown) =>
        dispatch({
          type: "payFailed",
          detail: messageOf(error),
          expired: error instanceof ApiError && error.code === "hold_expired",
        }),
    );
  };
  return { state, buy, pay, dismiss: () => dispatch({ type: "dismiss" }) };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : "";
}

function read(slot: string): Memory | null {
  try {
    const value = JSON.parse(sessionStorage.getItem(slot) ?? "null") as Partial<Memory> | null;
    return value && typeof value.id === "string" && typeof value.token === "string"
      ? (value as Memory)
      : null;
  } catch {
    return null;
  }
}

function write(slot: string, memory: Memory | null): void {
  try {
    if (memory) sessionStorage.setItem(slot, JSON.stringify(memory));
    else sessionStorage.removeItem(slot);
  } catch {
    // A full or forbidden storage costs the memory of a reload, nothing else.
  }
}
