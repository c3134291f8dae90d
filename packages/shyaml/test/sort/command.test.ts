import { chmodSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { folderOf, shyaml } from "../running.ts";

describe("shyaml sortkeys", () => {
  test("prints what is sorted, of a file or the standard input, by both of its names", async () => {
    using folder = folderOf({ "a.yaml": "b: 1\na: 2\n" });
    for (const args of [["sortkeys", "a.yaml"], ["keysort", "-"], ["sortkeys"]]) {
      const ran = await shyaml(args, { cwd: folder.path, input: "b: 1\na: 2\n" });
      expect(ran).toEqual({ code: 0, out: "a: 2\nb: 1\n", err: "" });
    }
    expect(readFileSync(join(folder.path, "a.yaml"), "utf8")).toBe("b: 1\na: 2\n");
  });

  test("--check names the files that are not sorted, prints nothing else, and exits with 1", async () => {
    using folder = folderOf({ "a.yaml": "b: 1\na: 2\n", "deep/b.yaml": "a: 1\nb: 2\n" });
    const unsorted = await shyaml(["sortkeys", ".", "--check"], { cwd: folder.path });
    expect(unsorted).toEqual({ code: 1, out: "", err: 'a.yaml:1:1: "a" belongs before "b"\n' });
    expect(await shyaml(["sortkeys", "-c", "deep/b.yaml"], { cwd: folder.path })).toEqual({
      code: 0,
      out: "",
      err: "",
    });
  });

  test("--in-place writes several files, with their byte order mark and their rights", async () => {
    using folder = folderOf({ "a.yaml": "\uFEFFb: 1\r\na: 2", "b.yaml": "kind: x\nb: 1\napiVersion: v1\n" });
    const path = join(folder.path, "a.yaml");
    chmodSync(path, 0o640);
    const ran = await shyaml(["sortkeys", "-i", "a.yaml", "b.yaml", "--first=apiVersion,kind"], {
      cwd: folder.path,
    });
    expect(ran).toEqual({ code: 0, out: "", err: "" });
    expect(readFileSync(path, "utf8")).toBe("\uFEFFa: 2\r\nb: 1");
    expect(statSync(path).mode & 0o777).toBe(0o640);
    expect(readFileSync(join(folder.path, "b.yaml"), "utf8")).toBe("apiVersion: v1\nkind: x\nb: 1\n");
  });

  test("gives the byte order mark of the standard input back, and writes a file of whatever name", async () => {
    using folder = folderOf({ stdin: "b: 1\na: 2\n" });
    const ran = await shyaml(["sortkeys"], { input: "\uFEFFb: 1\na: 2\n" });
    expect(ran).toEqual({ code: 0, out: "\uFEFFa: 2\nb: 1\n", err: "" });
    expect((await shyaml(["sortkeys", "-i", "stdin"], { cwd: folder.path })).code).toBe(0);
    expect(readFileSync(join(folder.path, "stdin"), "utf8")).toBe("a: 2\nb: 1\n");
  });

  test("says with --verbose what could not stand in its place", async () => {
    const ran = await shyaml(["sortkeys", "-v"], { input: "z: &x 1\na: *x\n" });
    expect(ran.out).toBe("z: &x 1\na: *x\n");
    expect(ran.err).toBe("stdin:1:1: anchors stay before their aliases, so not all keys are in order\n");
  });

  test("refuses with 2 what is no YAML, what it cannot sort, and what it was asked wrongly", async () => {
    using folder = folderOf({
      "wide.yaml": Buffer.from("\uFEFFb: 1\na: 2\n", "utf16le"),
      "a.yaml": "a: 1\n",
      "b.yaml": "b: 1\n",
    });
    const refused = async (args: string[], input = "") => {
      const { code, out, err } = await shyaml(["sortkeys", ...args], { cwd: folder.path, input });
      expect([code, out]).toEqual([2, ""]);
      return err;
    };
    expect(await refused([], "b: [1\na: 2\n")).toMatch(/^shyaml: stdin:\d+:\d+: YAML_INVALID/);
    expect(await refused([], "a: 1\na: 2\n")).toContain("KEY_DUPLICATE");
    // With one line break less, the text of the last would be another.
    expect(await refused([], "z: |+\n  text\n\na: 1")).toContain("SORT_REFUSED");
    expect(await refused(["wide.yaml"])).toContain("UTF-16");
    expect(await refused(["--check", "wide.yaml"])).toContain("UTF-16");
    expect(await refused(["a.yaml", "b.yaml"])).toContain("several files need --in-place or --check");
    expect(await refused(["-i"])).toContain("the standard input cannot be written in place");
  });
});
