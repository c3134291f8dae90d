import { describe, expect, test } from "vitest";
import { folderOf, shyaml } from "./running.ts";

/*
 * What the crate of the name (shyaml 0.4.1) does wrong in its `json`, `diff` and `keysort`, one test for each. Those of its
 * `kubediff`, which need a cluster, stand in kubectl/defects.test.ts.
 */

describe("json of the crate", () => {
  test("printed the first document only", async () => {
    expect(await shyaml(["json", "-c"], { input: "a: 1\n---\nb: 2\n" })).toMatchObject({
      code: 0,
      out: '{"a":1}\n{"b":2}\n',
    });
    expect((await shyaml(["json", "--array", "-"], { input: "a: 1\n---\nb: 2\n" })).out).toBe(
      '[\n  {\n    "a": 1\n  },\n  {\n    "b": 2\n  }\n]\n',
    );
  });

  test("ended without an end of line", async () => {
    expect((await shyaml(["json"], { input: "a: 1" })).out).toBe('{\n  "a": 1\n}\n');
  });

  test("left duplicate keys to chance", async () => {
    const ran = await shyaml(["json"], { input: "a: 1\na: 2\n" });
    expect(ran).toMatchObject({ code: 2, out: "", err: expect.stringContaining("stdin:2:1: KEY_DUPLICATE") });
  });

  test("left tags, numbers that are none and large integers to chance", async () => {
    const ran = await shyaml(["json", "-c"], { input: "[!!str 1, !own x, 123456789012345678901234567890]" });
    expect(ran.out).toBe('["1","x",123456789012345678901234567890]\n');
    expect(await shyaml(["json"], { input: "a:\n  b: .nan\n" })).toMatchObject({
      code: 2,
      err: "shyaml: stdin:2:6: JSON_CANNOT_SAY: .a.b: JSON does not have the number .nan\n",
    });
  });
});

describe("diff of the crate", () => {
  async function diff(before: string, after: string, ...flags: string[]) {
    using folder = folderOf({ "a.yaml": before, "b.yaml": after });
    return await shyaml(["diff", "a.yaml", "b.yaml", ...flags], { cwd: folder.path });
  }

  test("told no paths", async () => {
    const { out } = await diff("a: {b: [{c: 1}]}", "a: {b: [{c: 2}]}");
    expect(out).toContain("a.b[0].c  changed  1 → 1\n    - 1\n    + 2\n");
  });

  test("was silent about a second list that is longer", async () => {
    expect(await diff("[1]", "[1, 2]")).toMatchObject({
      code: 1,
      out: expect.stringContaining("[1]  added  +1\n    + 2\n"),
    });
  });

  test("printed the whole of a first list that is longer", async () => {
    const { out } = await diff("[1, 2, 3]", "[1, 3]");
    expect(out).toContain("[1]  removed  -1\n    - 2\n");
    expect(out).not.toContain("null");
  });

  test("showed only the key of what was removed and only the value of what was added", async () => {
    const { out } = await diff("{a: 1, gone: x}", "{a: 1, new: y1}");
    expect(out).toContain("gone  removed  -1\n    - x\n");
    expect(out).toContain("new  added  +1\n    + y1\n");
  });

  test("wrote of every node that it checks to the standard error", async () => {
    expect((await diff("a: 1", "a: 2")).err).toBe("");
  });

  test("had no exit code for differences", async () => {
    expect((await diff("a: 1", '{"a": 1}')).code).toBe(0);
    expect((await diff("a: 1", "a: 2")).code).toBe(1);
    expect((await diff("a: 1", "a: 2", "--exit-zero")).code).toBe(0);
    expect((await diff("a: 1", "a: [")).code).toBe(2);
  });

  test("crashed for want of an argument", async () => {
    expect(await shyaml(["diff", "a.yaml"])).toMatchObject({
      code: 2,
      err: "shyaml: missing required argument 'after'\n",
    });
  });

  test("did not read the standard input", async () => {
    using folder = folderOf({ "a.yaml": "a: 1" });
    const options = { cwd: folder.path, input: "a: 2" };
    expect(await shyaml(["diff", "a.yaml", "-"], options)).toMatchObject({
      code: 1,
      out: expect.stringContaining("a.yaml:1 → stdin:1"),
    });
    expect((await shyaml(["diff", "-", "a.yaml"], options)).code).toBe(1);
    expect((await shyaml(["diff", "-", "-"], options)).code).toBe(0);
  });
});

describe("keysort of the crate", () => {
  async function sorted(input: string): Promise<string> {
    const { code, out, err } = await shyaml(["keysort"], { input });
    expect([code, err]).toEqual([0, ""]);
    return out;
  }

  test("was called sortkeys by its README", async () => {
    const input = "b: 1\na: 2\n";
    expect((await shyaml(["sortkeys"], { input })).out).toBe(await sorted(input));
  });

  test("lost comments", async () => {
    expect(await sorted("# of b\nb: 1 # one\n# of a\na: 2\n")).toContain("# of a\na: 2\n");
    expect(await sorted("x: 1\n# of b\nb: 1 # one\n")).toBe("# of b\nb: 1 # one\nx: 1\n");
  });

  test("printed lists of mappings without their dashes", async () => {
    expect(await sorted("list:\n  - b: 1\n    a: 2\n  - c: 3\n")).toBe(
      "list:\n  - a: 2\n    b: 1\n  - c: 3\n",
    );
  });

  test("broke what is empty inside of something", async () => {
    const input = "b: {}\na:\n  y: []\n  x: {}\n  w: ''\n  v:\n";
    expect(await sorted(input)).toBe("a:\n  v:\n  w: ''\n  x: {}\n  y: []\nb: {}\n");
  });

  test("wrote anchors out", async () => {
    expect(await sorted("z: &one {y: 1}\nb: 2\na: 3\nzz: *one\n")).toBe(
      "a: 3\nb: 2\nz: &one {y: 1}\nzz: *one\n",
    );
  });

  test("printed the first document only", async () => {
    expect(await sorted("b: 1\na: 2\n---\nd: 1\nc: 2\n")).toBe("a: 2\nb: 1\n---\nc: 2\nd: 1\n");
  });
});
