// Every language has every message, with the same arguments, and each is valid ICU MessageFormat.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "@formatjs/icu-messageformat-parser";

const folder = join(import.meta.dirname, "../src/i18n");
const sources = join(import.meta.dirname, "../src");
const problems = [];

const languages = Object.fromEntries(
  readdirSync(folder)
    .filter((file) => file.endsWith(".json"))
    .map((file) => [file.replace(".json", ""), JSON.parse(readFileSync(join(folder, file), "utf8"))]),
);

function argumentsOf(elements, found = new Set()) {
  for (const element of elements) {
    if (element.type >= 1 && element.type <= 6) found.add(element.value);
    for (const option of Object.values(element.options ?? {})) argumentsOf(option.value, found);
  }
  return found;
}

const shapes = {};
for (const [language, messages] of Object.entries(languages)) {
  for (const [key, message] of Object.entries(messages)) {
    try {
      const ast = parse(message, { ignoreTag: true });
      shapes[key] ??= {};
      shapes[key][language] = [...argumentsOf(ast)].sort().join(",");
    } catch (error) {
      problems.push(`${language}: ${key}: ${error.message}`);
    }
  }
}

for (const [key, found] of Object.entries(shapes)) {
  for (const language of Object.keys(languages)) {
    if (!(key in languages[language])) problems.push(`${language}: ${key} is missing`);
  }
  if (new Set(Object.values(found)).size > 1)
    problems.push(`${key}: arguments differ: ${JSON.stringify(found)}`);
}

const files = readdirSync(sources, { recursive: true }).filter((file) => /(?<!\.test)\.tsx?$/.test(file));
const code = files.map((file) => readFileSync(join(sources, file), "utf8")).join("\n");
for (const [, key] of code.matchAll(/\bt\(\s*"([^"]+)"/g)) {
  if (!(key in shapes)) problems.push(`${key} is used, but no language has it`);
}

if (problems.length) {
  console.error([...new Set(problems)].join("\n"));
  process.exit(1);
}
console.log(`${Object.keys(shapes).length} messages in ${Object.keys(languages).join(", ")}`);
