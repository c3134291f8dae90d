import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { builtLibrary } from "./stage.ts";

const KB = 1_000;

describe("drover/browser, as it is published", () => {
  let folder: string;
  const files = () =>
    readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), "utf8")] as const);
  beforeAll(async () => {
    folder = await builtLibrary();
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** Bytes on the wire of a page's script that uses these names of the library, and of what it loads at once. */
  async function weight(...names: string[]): Promise<number> {
    const page = mkdtempSync(join(tmpdir(), "drover-page-"));
    try {
      writeFileSync(
        join(page, "page.js"),
        `import { ${names} } from ${JSON.stringify(join(folder, "browser.js"))};\nglobalThis.used = [${names}];\n`,
      );
      mkdirSync(join(page, "out"));
      await build({
        root: page,
        configFile: false,
        logLevel: "error",
        build: {
          outDir: "out",
          lib: { entry: join(page, "page.js"), formats: ["es"], fileName: () => "page.js" },
          rolldownOptions: {
            preserveEntrySignatures: "allow-extension",
            external: /browser-(requests|routing|tracing)/,
            // As a page is built, rather than a library.
            output: { minify: true, comments: false },
          },
        },
      });
      return gzipSync(readFileSync(join(page, "out/page.js")), { level: 9 }).length;
    } finally {
      rmSync(page, { recursive: true });
    }
  }

  it("is four files: one for WebSockets, and what only servers by requests need, several servers, and tracing", () => {
    expect(readdirSync(folder).sort()).toEqual([
      "browser-requests.js",
      "browser-routing.js",
      "browser-tracing.js",
      "browser.js",
    ]);
  });

  it("imports nothing, and has nothing of Node's", () => {
    for (const [name, code] of files()) {
      const imported = [...code.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*["'`]([^"'`]+)["'`]/g)].map(
        (match) => match[1],
      );
      expect([name, imported.filter((target) => !target!.startsWith("./browser"))]).toEqual([name, []]);
      expect(code).not.toMatch(/node:|__vite-browser-external/);
      expect(code).not.toMatch(/(?<![\w$."'`])(?:Buffer|process|require|setImmediate|global)\b(?!\s*:)/);
    }
  });

  it.each([
    [["Client"], 12],
    [["Worker"], 9],
    [["Client", "Worker"], 15],
  ])("weighs little for pages that use %j: less than %i kB", async (names, limit) => {
    expect(await weight(...names)).toBeLessThan(limit * KB);
  });
});
