/**
 * How fast to play so that the picture stays a fixed time behind the newest frame; pure.
 *
 * Small errors are played away, which nobody sees; large ones are jumped over. Playing faster than the frames come would
 * run the buffer dry, so below the target it plays slower before it has to stop.
 */

export interface Buffered {
  start: number;
  end: number;
}

export interface Step {
  rate: number;
  /** Where to jump to, when playing cannot make good for it. */
  seekTo: number | null;
}

export const TARGET_SECONDS = 0.15;
export const JUMP_SECONDS = 1.0;
const SLOWEST = 0.95;
const FASTEST = 1.05;
const DEAD_ZONE_SECONDS = 0.03;
const GAIN_PER_SECOND = 0.2;
const GAP_SECONDS = 0.01;

/** What to do now; `ranges` is what every track has, in order, `target` may grow when the network stalls. */
export function step(ranges: Buffered[], position: number, target = TARGET_SECONDS): Step {
  const last = ranges.at(-1);
  if (!last) return { rate: 1, seekTo: null };
  const inside = ranges.some((range) => position >= range.start - GAP_SECONDS && position <= range.end);
  const behind = last.end - position;
  if (!inside || behind > target + JUMP_SECONDS) {
    return { rate: 1, seekTo: Math.max(last.start, last.end - target) };
  }
  const error = behind - target;
  if (Math.abs(error) <= DEAD_ZONE_SECONDS) return { rate: 1, seekTo: null };
  return { rate: Math.min(FASTEST, Math.max(SLOWEST, 1 + error * GAIN_PER_SECOND)), seekTo: null };
}

/** The ranges that both lists have. */
export function common(a: Buffered[], b: Buffered[]): Buffered[] {
  const found: Buffered[] = [];
  for (const one of a) {
    for (const other of b) {
      const start = Math.max(one.start, other.start);
      const end = Math.min(one.end, other.end);
      if (end > start) found.push({ start, end });
    }
  }
  return found.sort((left, right) => left.start - right.start);
}

/** The target after a stall: further behind, up to a second; it comes back slowly while nothing stalls. */
export class Target {
  #seconds = TARGET_SECONDS;

  get seconds(): number {
    return this.#seconds;
  }

  stalled(): void {
    this.#seconds = Math.min(1, this.#seconds * 1.6);
  }

  wentWell(seconds: number): void {
    this.#seconds = Math.max(TARGET_SECONDS, this.#seconds - seconds * 0.01);
  }
}
