/**
 * Languages: which one is on, what its messages say, and a hook that draws again when it changes.
 *
 * Messages are ICU MessageFormat, compiled by the build; a language is fetched when it is used. Every language has every
 * message (`scripts/messages.mjs`), so there is no fallback from one to another.
 */
import { useSyncExternalStore } from "react";
import type english from "./en.json";
import { localeOf } from "./format";
import { type Helpers, helpersOf, type Messages, type Values } from "./messages";

export const LANGUAGES = { en: "English", bn: "বাংলা" } as const;
export type Language = keyof typeof LANGUAGES;
export type MessageKey = keyof typeof english;
export type Translate = (key: MessageKey, values?: Values) => string;

interface Translation {
  language: Language;
  t: Translate;
}

const STORED = "haat.language";
const LOADERS: Record<Language, () => Promise<{ default: Messages }>> = {
  en: () => import("./en.json?icu"),
  bn: () => import("./bn.json?icu"),
};

class Languages {
  #current: Translation = { language: "en", t: (key) => key };
  readonly #listeners = new Set<() => void>();

  get current(): Translation {
    return this.#current;
  }

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  async use(language: Language): Promise<void> {
    const { default: messages } = await LOADERS[language]();
    this.#current = { language, t: translator(messages, helpersOf(localeOf(language))) };
    document.documentElement.lang = language;
    for (const listener of this.#listeners) listener();
  }
}

function translator(messages: Messages, helpers: Helpers): Translate {
  return (key, values = {}) => {
    const message = messages[key];
    return typeof message === "function" ? message(values, helpers) : (message ?? key);
  };
}

export const languages = new Languages();

/** The messages and the language of the moment. */
export function useTranslation(): Translation {
  return useSyncExternalStore(languages.subscribe, () => languages.current);
}

/** What the visitor chose before, else the first known language of the browser. */
export function preferredLanguage(): Language {
  const wanted = [readStored(), ...navigator.languages].map((tag) => tag?.split("-")[0]);
  return wanted.find((tag): tag is Language => tag !== undefined && tag in LANGUAGES) ?? "en";
}

export async function switchLanguage(language: Language): Promise<void> {
  await languages.use(language);
  try {
    localStorage.setItem(STORED, language);
  } catch {
    // A browser that keeps nothing still switches for this visit.
  }
}

function readStored(): string | undefined {
  try {
    return localStorage.getItem(STORED) ?? undefined;
  } catch {
    return undefined;
  }
}
