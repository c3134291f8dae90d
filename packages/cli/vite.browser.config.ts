import { resolve } from "node:path";
import { defineConfig } from "vite";

/** `drover/browser` as one module without imports: for pages with a bundler and for those without. */
export default defineConfig({
  root: import.meta.dirname,
  build: {
    lib: {
      entry: resolve(import.meta.dirname, "src/browser.ts"),
      formats: ["es"],
      fileName: () => "browser.js",
    },
    outDir: "dist",
    // Beside what the compiler made.
    emptyOutDir: false,
    target: "es2022",
    // Of libraries Vite leaves the space in.
    rolldownOptions: { output: { minify: true, comments: false } },
  },
  // The parts for Node are looked at, and left out.
  logLevel: "error",
});
