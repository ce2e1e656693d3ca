/**
 * Compiles a language's ICU messages to functions at build time: `import messages from "./en.json?icu"`.
 *
 * Browsers then need neither a parser nor a formatter: `{count, plural, one {# item} other {# items}}` becomes a choice by
 * Intl.PluralRules around template parts. Text, arguments, plural and select are supported; anything else fails the build.
 */
import { readFileSync } from "node:fs";
import { type MessageFormatElement, parse, TYPE } from "@formatjs/icu-messageformat-parser";
import type { Plugin } from "vite";

const QUERY = ".json?icu";

export function icuMessages(): Plugin {
  return {
    name: "haat-icu-messages",
    enforce: "pre",
    load(id) {
      if (!id.endsWith(QUERY)) return null;
      const file = id.slice(0, -"?icu".length);
      this.addWatchFile(file);
      const messages = JSON.parse(readFileSync(file, "utf8")) as Record<string, string>;
      const entries = Object.entries(messages).map(
        ([key, text]) => `${JSON.stringify(key)}: ${compileMessage(text)}`,
      );
      return { code: `export default {\n${entries.join(",\n")}\n};`, moduleType: "js" };
    },
  };
}

/** JavaScript of one message: a string, or a function of its values and of the language's helpers. */
export function compileMessage(text: string): string {
  const tree = parse(text, { ignoreTag: true });
  const [only] = tree;
  if (tree.length === 1 && only?.type === TYPE.literal) return JSON.stringify(only.value);
  return `(v, h) => ${joined(tree, null)}`;
}

function joined(tree: MessageFormatElement[], counted: string | null): string {
  return tree.map((element) => part(element, counted)).join(" + ") || '""';
}

function part(element: MessageFormatElement, counted: string | null): string {
  switch (element.type) {
    case TYPE.literal:
      return JSON.stringify(element.value);
    case TYPE.argument:
      return `h.show(${value(element.value)})`;
    case TYPE.pound:
      return `h.show(${counted ?? '"#"'})`;
    case TYPE.plural: {
      if (element.offset) break;
      const number = value(element.value);
      const options = choices(element.options, number);
      return `h.plural(${number}, ${options}, ${element.pluralType === "ordinal"})`;
    }
    case TYPE.select:
      return `h.select(${value(element.value)}, ${choices(element.options, counted)})`;
  }
  throw new Error(`an ICU element of type ${element.type} is not supported`);
}

function choices(options: Record<string, { value: MessageFormatElement[] }>, counted: string | null): string {
  const cases = Object.entries(options).map(
    ([name, option]) => `${JSON.stringify(name)}: () => ${joined(option.value, counted)}`,
  );
  return `{${cases.join(", ")}}`;
}

function value(name: string): string {
  return `v[${JSON.stringify(name)}]`;
}
