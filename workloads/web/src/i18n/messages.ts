/** Runs messages that the build compiled from ICU (`scripts/icu-messages.ts`). */

export type Values = Record<string, string | number>;
type Choices = Record<string, () => string>;

/** What a compiled message asks of its language. */
export interface Helpers {
  show(value: string | number | undefined): string;
  plural(count: string | number | undefined, choices: Choices, ordinal: boolean): string;
  select(value: string | number | undefined, choices: Choices): string;
}

export type Message = string | ((values: Values, helpers: Helpers) => string);
export type Messages = Record<string, Message>;

export function helpersOf(locale: string): Helpers {
  const numbers = new Intl.NumberFormat(locale);
  const rules = {
    cardinal: new Intl.PluralRules(locale),
    ordinal: new Intl.PluralRules(locale, { type: "ordinal" }),
  };
  const pick = (choices: Choices, name: string) => (choices[name] ?? choices.other)?.() ?? "";
  return {
    show: (value) => (typeof value === "number" ? numbers.format(value) : (value ?? "")),
    plural: (count, choices, ordinal) => {
      const exact = choices[`=${count}`];
      return exact ? exact() : pick(choices, rules[ordinal ? "ordinal" : "cardinal"].select(Number(count)));
    },
    select: (value, choices) => pick(choices, String(value)),
  };
}
