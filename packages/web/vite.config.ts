import { defineConfig } from "vite";

export default defineConfig({
  root: import.meta.dirname,
  // Beneath any path that a proxy gives it.
  base: "./",
  build: {
    outDir: "dist/page",
    emptyOutDir: true,
    // A policy that allows no inline scripts allows no data in the place of files either.
    assetsInlineLimit: 0,
    // Of the libraries that the page holds.
    license: { fileName: "licenses.md" },
    modulePreload: { polyfill: false },
    target: "es2023",
  },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  logLevel: "warn",
});
