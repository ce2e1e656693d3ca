/**
 * Small checkers for what comes from outside: a shape takes an unknown value and gives it back typed, or says where it
 * is not as agreed. Unknown members of objects are left out.
 */

export type Shape<T> = (value: unknown, path: string) => T;
export type Infer<S> = S extends Shape<infer T> ? T : never;

type Fields = Record<string, Shape<unknown>>;
type OptionalKeys<F extends Fields> = { [K in keyof F]: undefined extends Infer<F[K]> ? K : never }[keyof F];
type Shaped<F extends Fields> = { [K in Exclude<keyof F, OptionalKeys<F>>]: Infer<F[K]> } & {
  [K in OptionalKeys<F>]?: Infer<F[K]>;
};
type Flat<T> = { [K in keyof T]: T[K] };

export class ShapeError extends Error {
  override readonly name = "ShapeError";
  readonly path: string;

  constructor(path: string, wanted: string) {
    super(`${path || "body"} is not ${wanted}`);
    this.path = path;
  }
}

export const string: Shape<string> = (value, path) => {
  if (typeof value !== "string") throw new ShapeError(path, "a text");
  return value;
};

export const number: Shape<number> = (value, path) => {
  if (typeof value !== "number" || !Number.isFinite(value)) throw new ShapeError(path, "a number");
  return value;
};

export const integer: Shape<number> = (value, path) => {
  if (!Number.isSafeInteger(value)) throw new ShapeError(path, "a whole number");
  return value as number;
};

export const boolean: Shape<boolean> = (value, path) => {
  if (typeof value !== "boolean") throw new ShapeError(path, "true or false");
  return value;
};

export const unknown: Shape<unknown> = (value) => value;

export function literal<const T extends string>(wanted: T): Shape<T> {
  return (value, path) => {
    if (value !== wanted) throw new ShapeError(path, JSON.stringify(wanted));
    return wanted;
  };
}

/** Absent, null, or the shape: null counts as absent. */
export function optional<T>(shape: Shape<T>): Shape<T | undefined> {
  return (value, path) => (value === undefined || value === null ? undefined : shape(value, path));
}

export function nullable<T>(shape: Shape<T>): Shape<T | null> {
  return (value, path) => (value === undefined || value === null ? null : shape(value, path));
}

export function withDefault<T>(shape: Shape<T>, fallback: T): Shape<T> {
  return (value, path) => (value === undefined || value === null ? fallback : shape(value, path));
}

export function array<T>(shape: Shape<T>): Shape<T[]> {
  return (value, path) => {
    if (!Array.isArray(value)) throw new ShapeError(path, "a list");
    return value.map((item, index) => shape(item, `${path}[${index}]`));
  };
}

export function record<T>(shape: Shape<T>): Shape<Record<string, T>> {
  return (value, path) => {
    const entries = Object.entries(members(value, path));
    return Object.fromEntries(entries.map(([key, item]) => [key, shape(item, join(path, key))]));
  };
}

export function object<F extends Fields>(fields: F): Shape<Flat<Shaped<F>>> {
  return (value, path) => {
    const source = members(value, path);
    const entries = Object.entries(fields).map(([key, shape]) => [key, shape(source[key], join(path, key))]);
    return Object.fromEntries(entries.filter(([, item]) => item !== undefined)) as Flat<Shaped<F>>;
  };
}

/** The value when it has the shape, else null. */
export function check<T>(shape: Shape<T>, value: unknown): T | null {
  try {
    return shape(value, "");
  } catch (error) {
    if (error instanceof ShapeError) return null;
    throw error;
  }
}

function members(value: unknown, path: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new ShapeError(path, "an object");
  return value as Record<string, unknown>;
}

function join(path: string, key: string): string {
  return path ? `${path}.${key}` : key;
}
