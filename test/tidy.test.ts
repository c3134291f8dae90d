import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

/*
 * The house rules that a compiler does not hold: who may import whom, what a pure part may not touch, how large a
 * file may grow, and that codes and dependencies are documented. CONTRIBUTING.md says them in prose.
 */

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "..");

const FILES = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], { cwd: ROOT })
  .toString()
  .split("\n")
  .filter((file) => file !== "");
const SOURCES = FILES.filter((file) => /\.tsx?$/.test(file));
const PACKAGE_SOURCES = SOURCES.filter((file) => /^packages\/[^/]+\/src\//.test(file));

const text = (file: string): string => readFileSync(join(ROOT, file), "utf8");
const packageOf = (file: string): string => file.split("/")[1]!;

/** Packages of ours that a package's sources may import. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  protocol: [],
  transport: [],
  shyaml: [],
  client: ["protocol", "transport"],
  worker: ["client", "protocol", "transport"],
  server: ["protocol", "transport", "client"],
  cache: ["client", "transport", "worker"],
  gate: ["client", "server", "transport", "worker"],
  web: [],
  cli: ["cache", "client", "gate", "protocol", "server", "shyaml", "transport", "web", "worker"],
};

/** The one other door: what the HTTP API answers, as types, which a page may have where it may have nothing that runs. */
const TYPES_OF_API: readonly string[] = ["@drover/server/api", "@drover/gate/api"];

/** Folders whose code takes time and chance as arguments and does no input or output. */
const PURE = /^packages\/(?:protocol\/src|[^/]+\/src\/core)\//;

const IMPURE: readonly (readonly [RegExp, string])[] = [
  [/\bDate\.now\b|\bnew Date\(\)/, "reads the clock"],
  [/\bperformance\./, "reads the clock"],
  [/\bMath\.random\b|\bcrypto\./, "draws a random number"],
  [/\bset(?:Timeout|Interval|Immediate)\b/, "sets a timer"],
  [/\bprocess\./, "touches the process"],
  [/from "node:/, "imports from the platform"],
];

/** Longest source file. Files that were longer when the rule came may only shrink; there are none. */
const MAX_LINES = 600;
const LONGER: Readonly<Record<string, number>> = {};

function imports(file: string): string[] {
  return [...text(file).matchAll(/(?:from|import)\s*\(?\s*"([^"]+)"/g)].map((match) => match[1]!);
}

/** The doors that a package declares. */
function doorsOf(name: string): readonly string[] {
  const { exports } = JSON.parse(text(`packages/${name}/package.json`)) as {
    exports: Record<string, string>;
  };
  return Object.keys(exports);
}

describe("the house", () => {
  test("packages import only what stands below them", () => {
    const wrong: string[] = [];
    for (const file of PACKAGE_SOURCES) {
      const own = packageOf(file);
      for (const target of imports(file)) {
        const other = /^@drover\/([^/]+)/.exec(target)?.[1] ?? (target === "drover" ? "cli" : undefined);
        if (other === undefined) continue;
        if (own === "web" && TYPES_OF_API.includes(target)) continue;
        if (!(MAY_IMPORT[own] ?? []).includes(other)) wrong.push(`${file} imports ${target}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test("nobody reaches into another package past its public door", () => {
    const wrong: string[] = [];
    for (const file of PACKAGE_SOURCES) {
      for (const target of imports(file)) {
        const [, name, door] = /^@drover\/([^/]+)\/(.+)$/.exec(target) ?? [];
        if (door !== undefined && !doorsOf(name!).includes(`./${door}`))
          wrong.push(`${file} imports ${target}`);
        if (!target.startsWith(".")) continue;
        const reached = relative(ROOT, resolve(ROOT, dirname(file), target));
        if (!reached.startsWith(`packages/${packageOf(file)}/`)) wrong.push(`${file} imports ${target}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test("the page has of the server nothing but the types of its HTTP API", () => {
    const wrong = PACKAGE_SOURCES.filter((file) => packageOf(file) === "web").filter((file) =>
      /(?:^|\n)(?:import|export) (?!type )[^;]*"@drover\//.test(text(file)),
    );
    expect(wrong).toEqual([]);
    expect(imports("packages/server/src/http/api.ts")).toEqual([]);
  });

  test("pages make no HTML of text", () => {
    const wrong = PACKAGE_SOURCES.filter((file) =>
      /innerHTML|outerHTML|insertAdjacentHTML|document\.write/i.test(text(file)),
    );
    expect(wrong).toEqual([]);
  });

  test("pure parts touch no clock, chance, timer, process or platform", () => {
    const wrong: string[] = [];
    for (const file of PACKAGE_SOURCES.filter((name) => PURE.test(name))) {
      const code = text(file).replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");
      for (const [pattern, what] of IMPURE) if (pattern.test(code)) wrong.push(`${file} ${what}`);
    }
    expect(wrong).toEqual([]);
  });

  test("a core imports nothing from the shell around it", () => {
    const wrong: string[] = [];
    for (const file of PACKAGE_SOURCES.filter((name) => name.includes("/src/core/"))) {
      for (const target of imports(file))
        if (target.startsWith("../")) wrong.push(`${file} imports ${target}`);
    }
    expect(wrong).toEqual([]);
  });

  test(`no source file is longer than ${MAX_LINES} lines, and longer ones only shrink`, () => {
    const wrong: string[] = [];
    for (const file of SOURCES) {
      const lines = text(file).split("\n").length - 1;
      const limit = LONGER[file] ?? MAX_LINES;
      if (lines > limit) wrong.push(`${file} has ${lines} lines, limit ${limit}`);
      if (file in LONGER && lines <= MAX_LINES) wrong.push(`${file} is short enough: take it off the list`);
    }
    expect(wrong).toEqual([]);
  });

  test("no test runs alone, and none is switched off without a reason on its line", () => {
    const wrong: string[] = [];
    for (const file of SOURCES.filter((name) => name.endsWith(".test.ts"))) {
      text(file)
        .split("\n")
        .forEach((line, i) => {
          const alone = /\b(?:it|test|describe)\.only\b/.test(line);
          const off = /\b(?:it|test|describe)\.(?:skip|todo)\b/.test(line) && !line.includes("//");
          if ((alone || off) && file !== "test/tidy.test.ts") wrong.push(`${file}:${i + 1}`);
        });
    }
    expect(wrong).toEqual([]);
  });

  test("no folder is a drawer for everything", () => {
    const drawers = FILES.filter((file) => /(?:^|\/)(?:utils?|common|shared|helpers?|misc)\//.test(file));
    expect(drawers).toEqual([]);
  });

  test("no file holds the marks of a merge that was not finished", () => {
    const wrong = FILES.filter((file) => /\.(?:tsx?|js|css|html|md|json|ya?ml|sh)$|\/run$/.test(file)).filter(
      (file) => /^(?:<{7}|>{7}) /m.test(text(file)),
    );
    expect(wrong).toEqual([]);
  });

  test("tracked files name no path of one machine and no registry", () => {
    const wrong = FILES.filter((file) => /\.(?:tsx?|js|css|html|md|json|ya?ml|sh)$|\/run$/.test(file))
      .filter((file) => file !== "test/tidy.test.ts" && file !== "package-lock.json")
      .filter((file) => /(?:^|[\s"'`(=])\/(?:home|work|root)\/|registry\.npmjs/.test(text(file)));
    expect(wrong).toEqual([]);
    expect(text("package-lock.json")).not.toMatch(/"resolved": "https?:/);
  });
});

describe("the documentation", () => {
  test("docs/ERRORS.md lists exactly the codes that the sources can give", () => {
    const codes = new Set<string>();
    for (const file of PACKAGE_SOURCES) {
      const source = text(file);
      for (const [, union] of source.matchAll(/export type \w*(?:ErrorCode|Code)\b\s*=([^;]+);/g)) {
        for (const [, code] of union!.matchAll(/"([A-Z][A-Z0-9_]+)"/g)) codes.add(code!);
      }
      for (const [, code] of source.matchAll(/\bcode: "([A-Z][A-Z0-9_]+)"/g)) codes.add(code!);
    }
    const documented = new Set(
      [...text("docs/ERRORS.md").matchAll(/^\| `([A-Z][A-Z0-9_]+)`/gm)].map((m) => m[1]!),
    );
    expect([...codes].sort()).not.toEqual([]);
    expect([...documented].sort()).toEqual([...codes].sort());
  });

  test("docs/PROTOCOL.md has every packet of the table with its arguments", async () => {
    const { PACKETS } = await import("@drover/protocol");
    const page = text("docs/PROTOCOL.md");
    const missing = PACKETS.filter(({ type, name, senders, args, data, reply }) => {
      const fields = [...args, ...(data === undefined ? [] : [`+${data}`])].join(", ") || "–";
      const answer = reply === undefined ? "–" : `\`${reply}\``;
      return !page.includes(
        `| ${type} | \`${name}\` | ${senders.join(", ") || "nobody"} | ${fields} | ${answer} |\n`,
      );
    });
    expect(missing.map(({ name }) => name)).toEqual([]);
  });

  test("docs/dependencies.md has a line for every dependency", () => {
    const page = text("docs/dependencies.md");
    const missing: string[] = [];
    for (const file of FILES.filter((name) => /^(?:packages\/[^/]+\/)?package\.json$/.test(name))) {
      const { dependencies = {}, devDependencies = {} } = JSON.parse(text(file)) as {
        dependencies?: Record<string, string>;
        devDependencies?: Record<string, string>;
      };
      for (const name of Object.keys({ ...dependencies, ...devDependencies })) {
        if (!name.startsWith("@drover/") && name !== "drover" && !page.includes(`| \`${name}\``))
          missing.push(name);
      }
    }
    expect(missing).toEqual([]);
  });

  test("every relative link in the documentation leads to a file", () => {
    const broken: string[] = [];
    for (const file of FILES.filter((name) => name.endsWith(".md"))) {
      for (const [, target] of text(file).matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
        if (/^[a-z]+:/.test(target!)) continue;
        const reached = relative(ROOT, resolve(ROOT, dirname(file), target!));
        if (!FILES.some((name) => name === reached || name.startsWith(`${reached}/`)))
          broken.push(`${file}: ${target}`);
      }
    }
    expect(broken).toEqual([]);
  });

  test("the glossary's words to avoid are not used as names of exported things", () => {
    const wrong: string[] = [];
    for (const file of PACKAGE_SOURCES) {
      for (const [, name] of text(file).matchAll(/export (?:class|function|const|interface|type) (\w+)/g)) {
        if (/(?:Topic|Dedupe|Ticket|Broker|Producer|Consumer|Daemon(?!ize))/.test(name!))
          wrong.push(`${file}: ${name}`);
      }
    }
    expect(wrong).toEqual([]);
  });
});
