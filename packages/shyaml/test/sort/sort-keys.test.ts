import { describe, expect, test } from "vitest";
import { loadDocuments } from "../../src/document/load.ts";
import { sameData } from "../../src/sort/same-data.ts";
import { sortKeys } from "../../src/sort/sort-keys.ts";

const load = (text: string) => loadDocuments(text, { name: "text" }).documents;

const sorted = (...lines: string[]) => sortKeys(lines.join("\n")).text.split("\n");

/** Sorts, and expects that nothing but the order changed. */
function expectSorted(source: string, result: string, first: string[] = []): void {
  const { text } = sortKeys(source, { first });
  expect(text).toBe(result);
  expect(sameData(load(source), load(text))).toBe(true);
  expect(sortKeys(text, { first }).text).toBe(text);
  expect([...text].sort().join("")).toBe([...source].sort().join(""));
}

describe("sortKeys", () => {
  test("moves entries with their values, as they are written", () => {
    expectSorted(
      "c: 0x1F   # hex\nb: 'it''s'\na:\n    z: >-\n      folded\n\n      text\n    y: 12345678901234567890\n",
      "a:\n    y: 12345678901234567890\n    z: >-\n      folded\n\n      text\nb: 'it''s'\nc: 0x1F   # hex\n",
    );
  });

  test("takes comments above and behind a key along, and deeper ones below it", () => {
    expectSorted(
      "# about b\nb: 1 # b\n  # below b\n\n# about a\n# more about a\na: 2\n",
      "# about a\n# more about a\na: 2\n\n# about b\nb: 1 # b\n  # below b\n",
    );
  });

  test("leaves what stands at the top and at the end of a file where it is", () => {
    expectSorted("# Copyright\n\nb: 1\na: 2\n\n# The end\n", "# Copyright\n\na: 2\nb: 1\n\n# The end\n");
    expectSorted("#cloud-config\nb: 1\na: 2\n", "#cloud-config\na: 2\nb: 1\n");
    expectSorted(
      "# yaml-language-server: $schema=x\nb: 1\na: 2\n",
      "# yaml-language-server: $schema=x\na: 2\nb: 1\n",
    );
  });

  test("keeps a blank line between entries, whichever of them comes first", () => {
    expectSorted("b: 1\n\na: 2\n\nc: 3\n", "a: 2\n\nb: 1\n\nc: 3\n");
  });

  test("sorts mappings in lists, on the line of the dash too", () => {
    expectSorted(
      "- name: x\n  image: y\n  # about args\n  args: [b, a]\n- - d: 1\n    c: 2\n",
      "- # about args\n  args: [b, a]\n  image: y\n  name: x\n- - c: 2\n    d: 1\n",
    );
    expectSorted("b:\n- d: 1\n  c: 2\n# about a\na: 3\n", "# about a\na: 3\nb:\n- c: 2\n  d: 1\n");
  });

  test("the last line may have no line break, and then the new last line has none", () => {
    expectSorted("b: 1\na: 2", "a: 2\nb: 1");
    expectSorted("b:\n  d: 1\n  c: |\n    text", "b:\n  c: |\n    text\n  d: 1");
    expectSorted("b: 1\r\na: 2", "a: 2\r\nb: 1");
  });

  test("keeps carriage returns, a byte order mark, directives and several documents", () => {
    expectSorted("b: 1\r\na: |\r\n  x\r\n\r\n  y\r\n", "a: |\r\n  x\r\n\r\n  y\r\nb: 1\r\n");
    expectSorted("\uFEFFb: 1\na: 2\n", "\uFEFFa: 2\nb: 1\n");
    expectSorted(
      "%YAML 1.2\n---\nb: 1\na: 2\n...\n# next\n---\n# about d\nd: 1\nc: 2\n",
      "%YAML 1.2\n---\na: 2\nb: 1\n...\n# next\n---\nc: 2\n# about d\nd: 1\n",
    );
    expectSorted('b:\t1\t# tab\na:\t"\t"\n', 'a:\t"\t"\nb:\t1\t# tab\n');
  });

  test("sorts mappings in braces, in place and over lines", () => {
    expectSorted("x: { b: 1, a: {d: 1,c: 2} }\n", "x: { a: {c: 2,d: 1}, b: 1 }\n");
    expectSorted('{"b":[{"d":1,"c":2}],"a":null}', '{"a":null,"b":[{"c":2,"d":1}]}');
    expectSorted(
      "{\n  b: 1, # one\n  # about a\n  a: 2 # two\n  # the end\n}\n",
      "{\n  # about a\n  a: 2, # two\n  b: 1 # one\n  # the end\n}\n",
    );
  });

  test("leaves a mapping as it is whose comments could not come along, and says so", () => {
    const source = "x: { b: 1, a: 2 # two\n  }\n";
    const { text, notes, moved } = sortKeys(source);
    expect(text).toBe(source);
    expect(moved).toEqual([]);
    expect(notes.map((note) => note.text)).toEqual([
      "keys are left as they are, since comments among them could not move along",
    ]);
  });

  test("an anchor stays before its aliases, and says so", () => {
    expectSorted("z: &x {b: 1}\nc: 1\na: *x\n", "z: &x {b: 1}\na: *x\nc: 1\n");
    expect(sortKeys("z: &x 1\na: *x\n").notes).toHaveLength(1);
    expectSorted("c:\n  z: &x 1\nb: 2\na: [*x]\n", "c:\n  z: &x 1\na: [*x]\nb: 2\n");
    expectSorted("z: &x 1\ny: *x\nb: &x 2\na: *x\n", "z: &x 1\ny: *x\nb: &x 2\na: *x\n");
  });

  test("blank lines do not become part of a text that keeps them", () => {
    expectSorted("b: |+\n  text\na: 0\n\nc: 1\n", "a: 0\n\nb: |+\n  text\nc: 1\n".replace("b: |+", "b: |+"));
    expectSorted("z: |+\n  text\n\n\na: 0\n", "a: 0\nz: |+\n  text\n\n\n");
    expectSorted("a: |+\n  text\nc: 0\n\nb: 1\n", "\na: |+\n  text\nb: 1\nc: 0\n");
  });

  test("orders by code points, whole numbers by value and before text, << before all, the chosen first", () => {
    expect(
      sorted("b: 1", "B: 1", "a-b: 1", "ab: 1", "10: 1", "9: 1", "<<: {}", "é: 1", "😀: 1", "ﬀ: 1"),
    ).toEqual(["<<: {}", "9: 1", "10: 1", "B: 1", "a-b: 1", "ab: 1", "b: 1", "é: 1", "ﬀ: 1", "😀: 1"]);
    expectSorted(
      "spec: 1\nmetadata: {name: x, annotations: {}}\nkind: A\napiVersion: v1\n",
      "apiVersion: v1\nkind: A\nmetadata: {name: x, annotations: {}}\nspec: 1\n",
      ["apiVersion", "kind", "metadata", "name"],
    );
  });

  test("knows keys by their value, also quoted, explicit, and of more than one line", () => {
    expectSorted('? c\n: 1\n"b": 2\n? |\n  a\n: 3\n', '? |\n  a\n: 3\n"b": 2\n? c\n: 1\n');
    expectSorted("? {b: 1}\n: 1\n!!str &k a: 2\n", "!!str &k a: 2\n? {b: 1}\n: 1\n");
  });

  test("finds nothing to do in what is sorted, a scalar, or nothing", () => {
    for (const source of ["", "\n# only a comment\n", "scalar", "- b\n- a\n", "{}", "a: 1\n\n\nb: 2\n"]) {
      expect(sortKeys(source)).toEqual({ text: source, moved: [], notes: [] });
    }
  });

  test("says which key stands where it does not belong", () => {
    expect(sortKeys("x:\n  b: 1\n  c: 2\n  a: 3\n").moved).toEqual([
      { offset: 5, text: '"a" belongs before "b"' },
    ]);
  });
});
