import { isDeepStrictEqual } from "node:util";
import { describe, expect, test } from "vitest";
import { compareFiles, jsonText, type LoadedFile, loadDocuments, ShyamlError } from "../src/index.ts";
import { ACCEPTED, CASES, type Case, INVALID, jsonValues, REFUSED, VALID } from "./suite-cases.ts";

/*
 * The public test suite of YAML, case by case. What is expected to go wrong is listed, and the lists hold both ways.
 */

function load({ yaml, label }: Case): LoadedFile | ShyamlError {
  try {
    return loadDocuments(yaml, { name: label, comments: true });
  } catch (error) {
    if (error instanceof ShyamlError) return error;
    throw error;
  }
}

describe("the test suite of YAML", () => {
  test("is all there", () => {
    expect([CASES.length, VALID.length, INVALID.length]).toEqual([402, 308, 94]);
  });

  test("valid cases are read", () => {
    const refused = VALID.filter((one) => load(one) instanceof ShyamlError);
    expect(refused.map(({ label }) => label)).toEqual(REFUSED);
  });

  test("invalid cases are refused with line and column", () => {
    const accepted = INVALID.filter((one) => !(load(one) instanceof ShyamlError));
    expect(accepted.map(({ label }) => label)).toEqual(ACCEPTED);
    for (const one of INVALID) {
      const error = load(one);
      if (!(error instanceof ShyamlError)) continue;
      expect(error.place, one.label).toMatchObject({ line: expect.any(Number), column: expect.any(Number) });
      const lines = one.yaml.split("\n").length;
      expect(error.place!.line, one.label).toBeLessThanOrEqual(lines);
    }
  });

  test("cases that have a JSON form get it", () => {
    const wrong = VALID.filter((one) => {
      const file = load(one);
      if (file instanceof ShyamlError || one.json === undefined) return false;
      const ours = file.documents.map(({ root }) => jsonText(root)).join("\n");
      return jsonValues(ours) === undefined || !isDeepStrictEqual(jsonValues(ours), jsonValues(one.json));
    });
    expect(wrong.map(({ label }) => label)).toEqual([]);
  });

  test("cases without one are printed all the same, or refused by the path that has none", () => {
    for (const one of VALID.filter(({ json }) => json === undefined)) {
      const file = load(one);
      if (file instanceof ShyamlError) continue;
      for (const { root, source } of file.documents) {
        try {
          JSON.parse(jsonText(root, { source }));
        } catch (error) {
          expect(error, one.label).toMatchObject({ code: "JSON_CANNOT_SAY", place: { file: one.label } });
        }
      }
    }
  });

  test("every case is the same as itself, and differs from one with a change", () => {
    for (const one of VALID) {
      const [before, after] = [load(one), load(one)];
      if (before instanceof ShyamlError || after instanceof ShyamlError) continue;
      const options = { comments: true };
      expect(
        compareFiles([{ file: before, path: "" }], [{ file: after, path: "" }], options).documents,
        one.label,
      ).toEqual([]);
      const more = loadDocuments("a document of another value", { name: "more" });
      const extended = { ...after, documents: [...after.documents, ...more.documents] };
      const report = compareFiles([{ file: before, path: "" }], [{ file: extended, path: "" }]);
      expect(report.documents.length, one.label).toBeGreaterThan(0);
    }
  });
});
