/** Numbers, money and times as people of a language write them. */
import type { Money } from "@/api/schemas";

const LOCALES: Record<string, string> = { bn: "bn-BD", en: "en" };

export function localeOf(language: string): string {
  return LOCALES[language.split("-")[0] ?? "en"] ?? "en";
}

/** Minor units to a price: ৳4,800 in English, ৪,৮০০৳ in Bengali; fractions only where there are any. */
export function formatMoney(money: Money, language: string): string {
  const options = { style: "currency", currency: money.currency, currencyDisplay: "narrowSymbol" } as const;
  const digits = new Intl.NumberFormat("en", options).resolvedOptions().maximumFractionDigits ?? 2;
  const value = money.amount / 10 ** digits;
  const whole = Number.isInteger(value);
  return new Intl.NumberFormat(localeOf(language), {
    ...options,
    ...(whole ? { minimumFractionDigits: 0, maximumFractionDigits: 0 } : {}),
  }).format(value);
}

export function formatCount(value: number, language: string): string {
  return new Intl.NumberFormat(localeOf(language), {
    notation: value >= 10_000 ? "compact" : "standard",
  }).format(value);
}

/** Two digits of a clock. */
export function twoDigits(value: number, language: string): string {
  return new Intl.NumberFormat(localeOf(language), { minimumIntegerDigits: 2, useGrouping: false }).format(
    value,
  );
}

export function formatSeconds(value: number, language: string): string {
  return new Intl.NumberFormat(localeOf(language), {
    minimumFractionDigits: 1,
    maximumFractionDigits: 1,
  }).format(value);
}

/** Whole per cent off, or null when there is nothing to boast of. */
export function discountPercent(price: Money, list: Money | null | undefined): number | null {
  if (!list || list.currency !== price.currency || list.amount <= price.amount) return null;
  return Math.floor((1 - price.amount / list.amount) * 100);
}

export function formatPercent(value: number, language: string): string {
  return new Intl.NumberFormat(localeOf(language), { style: "percent" }).format(value / 100);
}

/** A product's name in the viewer's language. */
export function localTitle(
  product: { title: string; titles?: Record<string, string> | null | undefined },
  language: string,
): string {
  return product.titles?.[language.split("-")[0] ?? "en"] || product.title;
}
