import { describe, expect, it } from "vitest";
import { countdown, momentToAnnounce, ServerClock } from "./clock";

describe("ServerClock", () => {
  it("corrects a phone that is minutes off by half the round trip", () => {
    const clock = new ServerClock(() => 1_000);
    clock.sample(600_100, 900, 1_100);
    expect(clock.now()).toBe(600_100);
  });

  it("believes the shortest round trip", () => {
    const clock = new ServerClock(() => 0);
    clock.sample(5_000, 0, 20);
    clock.sample(9_999, 0, 4_000);
    expect(clock.now()).toBe(4_990);
  });
});

describe("countdown", () => {
  it.each([
    [1, 1, "a last millisecond is still a second"],
    [0, 0, "over"],
    [-5_000, 0, "never negative"],
    [59_001, 60, "rounded up"],
  ])("of %i ms is %i s: %s", (left, seconds) => {
    expect(countdown(10_000 + left, 10_000).seconds).toBe(seconds);
  });

  it("takes days, hours, minutes and seconds apart", () => {
    const left = ((2 * 24 + 3) * 3_600 + 4 * 60 + 5) * 1_000;
    expect(countdown(left, 0).parts).toEqual({ days: 2, hours: 3, minutes: 4, seconds: 5 });
  });
});

describe("momentToAnnounce", () => {
  it.each([
    [61, 60, 60],
    [60, 59, null],
    [31, 30, 30],
    [33, 29, 30],
    [11, 10, 10],
    [10, 9, null],
    [500, 12, null],
  ])("from %i to %i says %s", (before, now, moment) => {
    expect(momentToAnnounce(before, now)).toBe(moment);
  });
});
