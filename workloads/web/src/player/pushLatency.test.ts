import { describe, expect, it } from "vitest";
import { common, JUMP_SECONDS, step, TARGET_SECONDS, Target } from "./pushLatency";

const buffered = [{ start: 10, end: 20 }];

describe("staying behind the newest frame", () => {
  it.each([
    ["on target", 20 - TARGET_SECONDS, 1, null],
    ["a little late", 19.5, 1.05, null],
    ["a little early", 19.99, 0.972, null],
    ["far behind", 20 - TARGET_SECONDS - JUMP_SECONDS - 0.01, 1, 20 - TARGET_SECONDS],
    ["before everything", 3, 1, 20 - TARGET_SECONDS],
    ["beyond everything", 30, 1, 20 - TARGET_SECONDS],
  ])("%s", (_, position, rate, seekTo) => {
    const found = step(buffered, position);
    expect(found.rate).toBeCloseTo(rate, 3);
    if (seekTo === null) expect(found.seekTo).toBeNull();
    else expect(found.seekTo).toBeCloseTo(seekTo);
  });

  it("never plays faster or slower than a viewer would hear", () => {
    for (let position = 5; position < 25; position += 0.05) {
      const { rate } = step(buffered, position);
      expect(rate).toBeGreaterThanOrEqual(0.95);
      expect(rate).toBeLessThanOrEqual(1.05);
    }
  });

  it("waits while there is nothing", () => {
    expect(step([], 0)).toEqual({ rate: 1, seekTo: null });
  });

  it("comes to the target and stays there", () => {
    let position = 19.2;
    let end = 20;
    for (let tick = 0; tick < 400; tick++) {
      const { rate, seekTo } = step([{ start: 10, end }], position);
      position = seekTo ?? position + rate * 0.1;
      end += 0.1;
    }
    expect(Math.abs(end - position - TARGET_SECONDS)).toBeLessThan(0.05);
  });
});

it("plays what every track has", () => {
  expect(
    common(
      [
        { start: 0, end: 5 },
        { start: 6, end: 9 },
      ],
      [{ start: 1, end: 8 }],
    ),
  ).toEqual([
    { start: 1, end: 5 },
    { start: 6, end: 8 },
  ]);
  expect(common(buffered, [])).toEqual([]);
});

it("goes further behind after stalls, and comes back", () => {
  const target = new Target();
  for (let stall = 0; stall < 9; stall++) target.stalled();
  expect(target.seconds).toBe(1);
  target.wentWell(1000);
  expect(target.seconds).toBe(TARGET_SECONDS);
});
