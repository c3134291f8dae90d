import { resolve } from "node:path";
import { defineConfig } from "vite";

/**
 * `drover/browser` as a module without imports, for pages with a bundler and for those without, and beside it what is loaded
 * for servers that are reached by requests.
 */
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
    target: "es2024",
    // Of libraries Vite leaves the space in.
    rolldownOptions: {
      // What the part for requests shares with the rest stays in the rest.
      preserveEntrySignatures: "allow-extension",
      output: { minify: true, comments: false, chunkFileNames: "browser-requests.js" },
    },
  },
  // The parts for Node are looked at, and left out.
  logLevel: "error",
});
