import { describe, expect, test } from "vitest";
import { decodeText, jsonText, loadDocuments, type ShyamlError } from "../src/index.ts";

const json = (text: string, yaml11 = false) =>
  loadDocuments(text, { name: "a.yaml", yaml11 }).documents.map(({ root }) => jsonText(root, { indent: 0 }));

function failure(act: () => unknown): ShyamlError {
  try {
    act();
  } catch (error) {
    return error as ShyamlError;
  }
  throw new Error("it did not fail");
}
const failureOf = (text: string, limits = {}) =>
  failure(() => loadDocuments(text, { name: "a.yaml", limits }));

describe("a document", () => {
  test("keeps every digit of its numbers", () => {
    expect(
      json("[12345678901234567890, 1e3, 0x1F, 0o17, .5, +012, 1., -0, 1.50, 0xFFFFFFFFFFFFFFFFFF]"),
    ).toEqual(["[12345678901234567890,1e3,31,15,0.5,12,1,-0,1.50,4722366482869645213695]"]);
  });

  test("has merged what << names, its own keys first of all", () => {
    expect(json("base: &b {x: 1, y: 2}\nown:\n  <<: *b\n  x: 3\n")).toEqual([
      '{"base":{"x":1,"y":2},"own":{"y":2,"x":3}}',
    ]);
    expect(json("a: &a {x: 1}\nb: &b {x: 2, y: 2}\nc: {<<: [*a, *b], z: 3}\n")[0]).toContain(
      '"c":{"x":1,"y":2,"z":3}',
    );
    expect(json('"<<": {a: 1}\n')).toEqual(['{"<<":{"a":1}}']);
  });

  test("of YAML 1.1 has its booleans, octal and grouped numbers", () => {
    expect(json("[yes, off, 0777, 1_000, 1:30]")).toEqual(['["yes","off",777,"1_000","1:30"]']);
    expect(json("[yes, off, 0777, 1_000, 1:30, 2001-12-14]", true)).toEqual([
      '[true,false,511,1000,"1:30","2001-12-14"]',
    ]);
  });

  test("of UTF-16 and with a byte order mark is read", () => {
    const utf16 = Buffer.from("\ufeffa: ü", "utf16le");
    expect(json(decodeText(utf16, "a"))).toEqual(['{"a":"ü"}']);
    expect(json(decodeText(Buffer.from("\ufeffa: ü"), "a"))).toEqual(['{"a":"ü"}']);
  });

  test("that is empty is null, and an input of comments has none", () => {
    expect(json("---\n---\na: 1\n")).toEqual(["null", '{"a":1}']);
    expect(json("# nothing\n")).toEqual([]);
    expect(json("")).toEqual([]);
  });
});

describe("what cannot be read", () => {
  test("is told with file, line and column", () => {
    const error = failureOf("a: 1\nb: [1, 2\nc: 3\n");
    expect(error).toMatchObject({ code: "YAML_INVALID", place: { file: "a.yaml", line: 3 } });
    expect(error.message).toMatch(/^a\.yaml:3:\d+: YAML_INVALID: /);
  });

  test("a key that stands twice is told with both places", () => {
    expect(failureOf("a: 1\nb:\n  x: 1\n  y: 2\n  x: 3\n").message).toBe(
      'a.yaml:5:3: KEY_DUPLICATE: key "x" stands here again, first at line 3, column 3',
    );
    const many = Array.from({ length: 20_000 }, (_, i) => `k${i}: 1`).join("\n");
    expect(failureOf(`${many}\nk7: 2\n`)).toMatchObject({ code: "KEY_DUPLICATE", place: { line: 20_001 } });
    expect(json('{1: a, "1": b}'.replace('"1"', "2"))).toEqual(['{"1":"a","2":"b"}']);
  });

  test("does not tell what the document holds", () => {
    for (const text of [
      "password: |x hunter2\n",
      "a: b\n hunter2: [}\n",
      '"hunter2',
      "a: 'x' hunter2\n",
      "a: [hunter2]]",
    ]) {
      expect(failureOf(text).message).not.toContain("hunter2");
    }
  });

  test("an alias without an anchor, or inside of what it stands for, is an error", () => {
    expect(failureOf("a: *x\n")).toMatchObject({ code: "YAML_INVALID", place: { line: 1, column: 4 } });
    expect(failureOf("a: &x\n  b: *x\n")).toMatchObject({ code: "ALIAS_RECURSIVE", place: { line: 2 } });
  });

  test("aliases that expand to more values than the limit are refused, and cost nothing", () => {
    const levels = "bcdefghij".split("").map((name, i) => {
      const before = "abcdefghi"[i];
      return `${name}: &${name} [${Array(10).fill(`*${before}`).join()}]`;
    });
    expect(failureOf(`a: &a [x,x,x,x,x,x,x,x,x,x]\n${levels.join("\n")}\n`)).toMatchObject({
      code: "LIMIT_EXCEEDED",
      message: expect.stringContaining("more than 5000000 values"),
    });
    expect(failureOf("[1, 2, 3]", { maxNodes: 3 }).message).toContain("more than 3 values");
  });

  test("nesting beyond the limit is an error at any depth", () => {
    for (const depth of [501, 5_000, 50_000]) {
      expect(failureOf("[".repeat(depth) + "]".repeat(depth)).code).toBe("LIMIT_EXCEEDED");
    }
    const block = Array.from({ length: 501 }, (_, i) => `${" ".repeat(i)}a:`).join("\n");
    expect(failureOf(`${block}\n`).message).toContain("more than 500 deep");
    expect(json("[".repeat(500) + "]".repeat(500))).toHaveLength(1);
  });

  test("inputs and documents beyond their limits are errors", () => {
    expect(failure(() => decodeText(new Uint8Array(65 * 1024 * 1024), "big.yaml")).message).toContain(
      "big.yaml has 68157440 bytes or more, limit 67108864",
    );
    expect(failureOf("--- 1\n--- 2\n--- 3\n", { maxDocuments: 2 }).message).toContain(
      "more than 2 documents",
    );
  });

  test("bytes that are no text are an error", () => {
    expect(failure(() => decodeText(Uint8Array.of(0x61, 0xff, 0x62), "a.yaml"))).toMatchObject({
      code: "YAML_INVALID",
      message: "a.yaml:1:1: YAML_INVALID: not UTF-8",
    });
  });
});
