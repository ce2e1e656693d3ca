// What a phone downloads, gzip: the first load and the player. Fails the build when a budget is exceeded.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const dist = join(import.meta.dirname, "../dist");
const BUDGETS = { "first load": 110_000, player: 120_000 };
const size = (file) => gzipSync(readFileSync(join(dist, file)), { level: 9 }).length;

const manifest = JSON.parse(readFileSync(join(dist, ".vite/manifest.json"), "utf8"));

/** A chunk with everything that it loads together with itself. */
function closure(key, found = new Set()) {
  const chunk = manifest[key];
  if (!chunk) throw new Error(`${key} is not part of the build`);
  if (found.has(chunk.file)) return found;
  for (const file of [chunk.file, ...(chunk.css ?? [])]) found.add(file);
  for (const other of chunk.imports ?? []) closure(other, found);
  return found;
}

const sum = (files) => [...files].reduce((total, file) => total + size(file), 0);
const entry = closure("index.html");
const viewer = closure("src/viewer/ViewerPage.tsx", new Set(closure("src/i18n/bn.json?icu", new Set(entry))));
const player = closure("src/player/hlsEngine.ts", new Set(viewer));
const figures = {
  "first load": size("index.html") + sum(viewer),
  player: sum(player) - sum(viewer),
};
let over = false;
for (const [name, bytes] of Object.entries(figures)) {
  over ||= bytes > BUDGETS[name];
  console.log(`${name}: ${(bytes / 1000).toFixed(1)} kB of ${BUDGETS[name] / 1000} kB gzip`);
}
process.exit(over ? 1 : 0);
