/**
 * What may go wrong with a request, as one typed error.
 *
 * The server's refusals are RFC 9457 problem documents; what never reached it, came too late, or does not have the
 * agreed shape is an error of its own kind, so that a page can say what is true and retry only what is worth it.
 */

export type ApiErrorKind = "problem" | "network" | "timeout" | "shape";

export interface FieldError {
  field: string;
  reason: string;
}

interface ApiErrorInit {
  kind: ApiErrorKind;
  code: string;
  detail: string;
  status?: number;
  errors?: FieldError[];
  retryAfterMs?: number | null;
}

export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly kind: ApiErrorKind;
  /** HTTP status, 0 when there was no answer. */
  readonly status: number;
  /** Stable word for programs, such as `unknown_stream`. */
  readonly code: string;
  readonly errors: FieldError[];
  readonly retryAfterMs: number | null;

  constructor(init: ApiErrorInit) {
    super(init.detail);
    this.kind = init.kind;
    this.status = init.status ?? 0;
    this.code = init.code;
    this.errors = init.errors ?? [];
    this.retryAfterMs = init.retryAfterMs ?? null;
  }

  /** Whether the same request may well succeed a little later. */
  get retryable(): boolean {
    return (
      this.kind === "network" ||
      this.kind === "timeout" ||
      [408, 425, 429, 502, 503, 504].includes(this.status)
    );
  }
}

/** The error that a non-2xx answer stands for; never throws, whatever the body is. */
export function parseProblem(status: number, body: string, retryAfter: string | null = null): ApiError {
  const document = asRecord(tryJson(body));
  const title = text(document.title) || `HTTP ${status}`;
  return new ApiError({
    kind: "problem",
    status,
    code: text(document.code) || codeOfType(text(document.type)) || `http_${status}`,
    detail: text(document.detail) || title,
    errors: Array.isArray(document.errors) ? document.errors.flatMap(fieldError) : [],
    retryAfterMs: retryAfterMs(retryAfter),
  });
}

/** Milliseconds of a `Retry-After` header in seconds; null when there is none or it is a date. */
export function retryAfterMs(header: string | null): number | null {
  const seconds = header === null || header.trim() === "" ? Number.NaN : Number(header);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : null;
}

function codeOfType(type: string): string {
  return type.startsWith("urn:haat:") ? type.slice("urn:haat:".length) : "";
}

function fieldError(value: unknown): FieldError[] {
  const item = asRecord(value);
  return text(item.field) ? [{ field: text(item.field), reason: text(item.reason) }] : [];
}

function tryJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return null;
  }
}

function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {};
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}
