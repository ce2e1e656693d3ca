import { resolve } from "node:path";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";
import { icuMessages } from "./scripts/icu-messages.ts";
import { hlsFlags, slimHls } from "./scripts/slim-hls.ts";

const target = process.env.HAAT_API ?? "http://127.0.0.1:8080";

/** `vite dev` talks to a running platform; HAAT_API names its address. */
const proxy = Object.fromEntries(
  ["/api", "/hls", "/streams", "/ws"].map((path) => [
    path,
    { target, changeOrigin: true, ws: path === "/ws" },
  ]),
);

export default defineConfig({
  plugins: [react(), icuMessages(), slimHls(resolve(import.meta.dirname, "node_modules/hls.js")) as Plugin],
  define: hlsFlags,
  resolve: { alias: [{ find: "@", replacement: resolve(import.meta.dirname, "src") }] },
  server: { proxy },
  build: {
    target: "es2022",
    // Nothing inline: the content security policy allows scripts, styles and fonts of this origin only.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    manifest: true,
    rolldownOptions: {
      output: {
        // What every page needs travels as one file: it compresses better and costs one request.
        codeSplitting: {
          groups: [
            {
              name: "base",
              test: /\/src\/(api|i18n\/\w+\.ts$|design\/ui|room\/backoff)|\/node_modules\/(wouter|zustand|@tanstack|regexparam)\//,
            },
          ],
        },
      },
    },
    reportCompressedSize: false,
  },
});
