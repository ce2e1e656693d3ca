/**
 * Who this visitor is: a guest session for everybody, under a chosen name from the first message on.
 *
 * A host's token (studio) takes the guest's place. A session is replaced before it expires and when a server refuses it;
 * requests that come together share one replacement.
 */
import { api } from "./client";
import type { Session } from "./schemas";

const KEY = "haat.session";
const EARLY_MS = 60_000;

export interface Identity {
  token: string;
  name: string;
  userId: string;
  /** False while the name is one that we made up. */
  named: boolean;
  expiresAt: number;
}

export class Sessions {
  #current: Identity | null;
  #running: Promise<Identity> | null = null;
  readonly #create: (name: string) => Promise<Session>;
  readonly #guestName: () => string;

  constructor(guestName: () => string, create: (name: string) => Promise<Session> = api.session) {
    this.#guestName = guestName;
    this.#create = create;
    this.#current = read();
  }

  get current(): Identity | null {
    return this.#current && this.#current.expiresAt - EARLY_MS > Date.now() ? this.#current : null;
  }

  /** A token that should work; after a refusal, a new one. */
  async token(refused = false): Promise<string> {
    if (!refused && this.current) return this.current.token;
    const { name, named } = this.#current ?? { name: this.#guestName(), named: false };
    return (await this.#renew(name, named)).token;
  }

  /** Take a name: it is part of the token, so this is a new session. */
  async rename(name: string): Promise<Identity> {
    await this.#running?.catch(() => undefined);
    return this.#renew(name, true);
  }

  #renew(name: string, named: boolean): Promise<Identity> {
    this.#running ??= this.#create(name)
      .then((session) => {
        this.#current = {
          token: session.token,
          name: session.user.name,
          userId: session.user.id,
          named,
          expiresAt: Date.now() + session.expires_in * 1000,
        };
        write(this.#current);
        return this.#current;
      })
      .finally(() => {
        this.#running = null;
      });
    return this.#running;
  }
}

function read(): Identity | null {
  try {
    const value: unknown = JSON.parse(localStorage.getItem(KEY) ?? "null");
    return isIdentity(value) ? value : null;
  } catch {
    return null;
  }
}

function write(identity: Identity): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(identity));
  } catch {
    // Private browsing: the session lasts as long as the page.
  }
}

function isIdentity(value: unknown): value is Identity {
  const item = value as Partial<Identity> | null;
  return (
    typeof item === "object" &&
    item !== null &&
    typeof item.token === "string" &&
    typeof item.name === "string" &&
    typeof item.userId === "string" &&
    typeof item.named === "boolean" &&
    typeof item.expiresAt === "number"
  );
}
