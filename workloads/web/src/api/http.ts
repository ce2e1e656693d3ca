/**
 * One request: time-out, typed errors, checked shape.
 *
 * Nothing here retries by itself: reads are retried by the query cache, and only callers know whether a write carries
 * an idempotency key.
 */
import { ApiError, parseProblem } from "./problem";
import { type Shape, ShapeError } from "./shape";

export const TIMEOUT_MS = 8_000;

export interface RequestOptions {
  method?: "GET" | "POST";
  body?: unknown;
  token?: string | null;
  timeoutMs?: number;
  signal?: AbortSignal;
}

/** The checked answer; ApiError otherwise. An abort by the caller's signal is passed on as it is. */
export async function request<T>(path: string, shape: Shape<T>, options: RequestOptions = {}): Promise<T> {
  const response = await send(path, options);
  const body = await response.text();
  if (!response.ok) throw parseProblem(response.status, body, response.headers.get("retry-after"));
  return checked(shape, body, path);
}

async function send(path: string, options: RequestOptions): Promise<Response> {
  const timeout = AbortSignal.timeout(options.timeoutMs ?? TIMEOUT_MS);
  const signal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout;
  const headers: Record<string, string> = { accept: "application/json" };
  if (options.body !== undefined) headers["content-type"] = "application/json";
  if (options.token) headers.authorization = `Bearer ${options.token}`;
  try {
    return await fetch(path, {
      method: options.method ?? "GET",
      headers,
      body: options.body === undefined ? null : JSON.stringify(options.body),
      signal,
      cache: "no-store",
    });
  } catch (error) {
    if (timeout.aborted)
      throw new ApiError({ kind: "timeout", code: "timeout", detail: "No answer in time." });
    if (options.signal?.aborted) throw error;
    throw new ApiError({ kind: "network", code: "network", detail: "The server cannot be reached." });
  }
}

function checked<T>(shape: Shape<T>, body: string, path: string): T {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw new ApiError({ kind: "shape", code: "not_json", detail: `${path} did not answer with JSON.` });
  }
  try {
    return shape(value, "");
  } catch (error) {
    if (!(error instanceof ShapeError)) throw error;
    throw new ApiError({ kind: "shape", code: "unexpected_shape", detail: `${path}: ${error.message}` });
  }
}
