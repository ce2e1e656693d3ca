/**
 * Time as the sale service has it.
 *
 * Phones are minutes off, so a countdown never uses the local time alone. The offset comes from the sample with the
 * shortest round trip: its error is at most half of that.
 */

export class ServerClock {
  #offsetMs = 0;
  #roundTripMs = Number.POSITIVE_INFINITY;
  readonly #now: () => number;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** A reading of the server's clock that was taken between two local times. */
  sample(serverMs: number, sentAt: number, receivedAt: number): void {
    const roundTrip = Math.max(0, receivedAt - sentAt);
    if (roundTrip > this.#roundTripMs) return;
    this.#roundTripMs = roundTrip;
    this.#offsetMs = serverMs + roundTrip / 2 - receivedAt;
  }

  now(): number {
    return this.#now() + this.#offsetMs;
  }
}

export interface Countdown {
  /** Whole seconds left, rounded up: "1" is shown until the very moment. */
  seconds: number;
  parts: { days: number; hours: number; minutes: number; seconds: number };
}

export function countdown(targetMs: number, nowMs: number): Countdown {
  const seconds = Math.max(0, Math.ceil((targetMs - nowMs) / 1000));
  return {
    seconds,
    parts: {
      days: Math.floor(seconds / 86_400),
      hours: Math.floor(seconds / 3_600) % 24,
      minutes: Math.floor(seconds / 60) % 60,
      seconds: seconds % 60,
    },
  };
}

const MOMENTS = [60, 30, 10] as const;

/** The moment to say aloud when the countdown has gone from `before` to `seconds`; null most of the time. */
export function momentToAnnounce(before: number, seconds: number): (typeof MOMENTS)[number] | null {
  return MOMENTS.find((moment) => before > moment && seconds <= moment && seconds > moment - 10) ?? null;
}
