/** One room for the components below: its state as a store, its client, its clock. */

import { createContext, type ReactNode, useContext, useEffect, useMemo } from "react";
import { createStore, type StoreApi, useStore } from "zustand";
import { api } from "@/api/client";
import { ServerClock } from "@/sale/clock";
import { type Connection, RoomClient } from "./client";
import { PublishRefused } from "./outbox";
import type { RoomEvent } from "./protocol";
import { applied, EMPTY, failed, type RoomState, sending, sent, welcomed } from "./state";
import { uuid } from "./uuid";

export interface RoomView extends RoomState {
  connection: Connection;
  /** True from the first welcome on. */
  joined: boolean;
  /** A refusal of the chat with what to tell the sender. */
  chatProblem: { code: string; detail: string; retryAfterSeconds: number | null } | null;
}

export interface Room {
  stream: string;
  store: StoreApi<RoomView>;
  client: RoomClient;
  clock: ServerClock;
  say(text: string): void;
  token(): Promise<string>;
}

const CHAT_BATCH_MS = 100;
const RoomContext = createContext<Room | null>(null);

interface RoomProviderProps {
  stream: string;
  token(refused: boolean): Promise<string>;
  children: ReactNode;
}

export function RoomProvider({ stream, token, children }: RoomProviderProps) {
  const room = useMemo(() => createRoom(stream, token), [stream, token]);
  useEffect(() => {
    room.client.start();
    const again = () => room.client.reconnectNow();
    window.addEventListener("online", again);
    return () => {
      window.removeEventListener("online", again);
      room.client.stop();
    };
  }, [room]);
  return <RoomContext value={room}>{children}</RoomContext>;
}

export function useRoom(): Room {
  const room = useContext(RoomContext);
  if (!room) throw new Error("useRoom belongs inside a RoomProvider");
  return room;
}

export function useRoomState<T>(select: (state: RoomView) => T): T {
  return useStore(useRoom().store, select);
}

function createRoom(stream: string, token: (refused: boolean) => Promise<string>): Room {
  const store = createStore<RoomView>(() => ({
    ...EMPTY,
    connection: "connecting",
    joined: false,
    chatProblem: null,
  }));
  const clock = new ServerClock();
  const queue = new ChatQueue((events) => store.setState((state) => applied(state, events)));
  const client = new RoomClient({
    url: socketUrl(stream),
    room: stream,
    token,
    buyByHttp: async (tap) => api.buy(tap.sale, await token(false), tap),
    handlers: {
      onConnection: (connection) => store.setState({ connection }),
      onWelcome: (frame, fresh) => {
        queue.flush();
        store.setState((state) => ({ ...welcomed(state, frame, fresh), joined: true }));
      },
      onEvents: (events) => queue.add(events),
      onClock: (serverMs, sentAt, receivedAt) => clock.sample(serverMs, sentAt, receivedAt),
    },
  });
  const say = (text: string) => {
    const id = uuid();
    store.setState((state) => ({ ...sending(state, { id, text, at: clock.now() }), chatProblem: null }));
    client.publish("chat", { text }, id).then(
      ({ offset }) => store.setState((state) => sent(state, id, offset)),
      (error: unknown) => {
        store.setState((state) => refused(state, id, error));
        const shown = store.getState().chatProblem;
        const seconds = Math.max(4, shown?.retryAfterSeconds ?? 0);
        setTimeout(() => {
          if (store.getState().chatProblem === shown) store.setState({ chatProblem: null });
        }, seconds * 1000);
      },
    );
  };
  return { stream, store, client, clock, say, token: () => token(false) };
}

function refused(state: RoomView, id: string, error: unknown): Partial<RoomView> {
  const known = error instanceof PublishRefused;
  const chatProblem = {
    code: known ? error.code : "unknown",
    detail: error instanceof Error ? error.message : "",
    retryAfterSeconds: known ? error.retryAfterSeconds : null,
  };
  return { ...failed(state, id, chatProblem.detail), chatProblem };
}

/** Chat is drawn at most ten times a second, however fast it comes; everything else at once and in order. */
class ChatQueue {
  readonly #draw: (events: RoomEvent[]) => void;
  #waiting: RoomEvent[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(draw: (events: RoomEvent[]) => void) {
    this.#draw = draw;
  }

  add(events: RoomEvent[]): void {
    this.#waiting.push(...events);
    if (events.some((event) => event.event !== "chat")) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), CHAT_BATCH_MS);
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const events = this.#waiting;
    this.#waiting = [];
    if (events.length) this.#draw(events);
  }
}

function socketUrl(stream: string): string {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  return `${scheme}://${location.host}/ws/${stream.split("/").map(encodeURIComponent).join("/")}`;
}
