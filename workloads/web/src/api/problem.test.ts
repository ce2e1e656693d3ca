import { afterEach, describe, expect, it, vi } from "vitest";
import { request } from "./http";
import { ApiError, parseProblem, retryAfterMs } from "./problem";
import * as s from "./shape";

const document = {
  type: "urn:haat:invalid_request",
  title: "Unprocessable Entity",
  status: 422,
  detail: "The request is not valid: body.sku.",
  code: "invalid_request",
  errors: [{ field: "body.sku", reason: "too short" }, { reason: "no field" }],
};

describe("parseProblem", () => {
  it("reads a problem document", () => {
    const error = parseProblem(422, JSON.stringify(document));
    expect(error).toMatchObject({
      kind: "problem",
      status: 422,
      code: "invalid_request",
      message: document.detail,
    });
    expect(error.errors).toEqual([{ field: "body.sku", reason: "too short" }]);
    expect(error.retryable).toBe(false);
  });

  it("takes the code from the type and waits as told", () => {
    const error = parseProblem(503, '{"type":"urn:haat:unavailable","title":"Busy"}', "2");
    expect(error).toMatchObject({
      code: "unavailable",
      message: "Busy",
      retryAfterMs: 2_000,
      retryable: true,
    });
  });

  it.each(["", "<html>", "[]", "null", '{"errors":7}'])("makes do with %j", (body) => {
    expect(parseProblem(502, body)).toMatchObject({ code: "http_502", message: "HTTP 502", errors: [] });
  });

  it.each([
    [null, null],
    ["", null],
    ["1.5", 1_500],
    ["-1", null],
    ["Wed, 21 Oct 2026 07:28:00 GMT", null],
  ])("Retry-After %j is %j", (header, milliseconds) => {
    expect(retryAfterMs(header)).toBe(milliseconds);
  });
});

describe("request", () => {
  afterEach(() => {
    vi.unstubAllGlobals();
  });
  const shape = s.object({ id: s.string, left: s.optional(s.integer) });
  const answers = (body: string, init?: ResponseInit) =>
    vi.stubGlobal("fetch", () => Promise.resolve(new Response(body, init)));

  it("gives back the checked answer", async () => {
    answers('{"id":"x","left":null,"new":1}');
    await expect(request("/x", shape)).resolves.toEqual({ id: "x" });
  });

  it.each([
    ["{", { kind: "shape", code: "not_json" }],
    ['{"id":5}', { kind: "shape", code: "unexpected_shape" }],
  ])("refuses %s", async (body, error) => {
    answers(body);
    await expect(request("/x", shape)).rejects.toMatchObject(error);
  });

  it("throws the server's refusal as an ApiError", async () => {
    answers(JSON.stringify(document), { status: 422 });
    await expect(request("/x", shape)).rejects.toBeInstanceOf(ApiError);
  });

  it("tells an unreachable server from a slow one", async () => {
    vi.stubGlobal("fetch", () => Promise.reject(new TypeError("failed")));
    await expect(request("/x", shape)).rejects.toMatchObject({ kind: "network", retryable: true });
    vi.stubGlobal(
      "fetch",
      (_: string, { signal }: { signal: AbortSignal }) =>
        new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
    );
    await expect(request("/x", shape, { timeoutMs: 5 })).rejects.toMatchObject({ kind: "timeout" });
  });
});
