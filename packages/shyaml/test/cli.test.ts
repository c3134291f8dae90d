import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readInput } from "../src/cli/input.ts";
import { shyamlProgram } from "../src/cli/program.ts";
import { FORMATS } from "../src/cli/settings.ts";
import { DEFAULT_LIMITS } from "../src/limits.ts";
import { folderOf, shyaml } from "./running.ts";

const A = "a: 1\nb: [x, y]\n";
const B = "a: 2\nb: [y, x]\n";

describe("flags", () => {
  test("stand anywhere, also behind what is compared", async () => {
    using folder = folderOf({ "a.yaml": A, "b.yaml": B });
    const run = (...args: string[]) => shyaml(args, { cwd: folder.path });
    const wanted = await run("diff", "-o", "json", "--ignore-order", "a.yaml", "b.yaml");
    expect(wanted).toMatchObject({ code: 1, err: "" });
    expect(JSON.parse(wanted.out).summary.differences).toBe(1);
    expect(await run("diff", "a.yaml", "--ignore-order", "b.yaml", "-o=json")).toEqual(wanted);
    expect(await run("diff", "a.yaml", "b.yaml", "--output=json", "--ignore-order")).toEqual(wanted);
  });

  test("have a form of letters, digits, - and = each, which is all that kubectl passes on", () => {
    const words = shyamlProgram().commands.flatMap((command) =>
      command.options.flatMap((option) => [option.long ?? "", ...(option.argChoices ?? [])]),
    );
    expect(words).toContain("--ignore-order");
    expect(words.filter((word) => !/^[A-Za-z0-9=-]+$/.test(word))).toEqual([]);
    expect(FORMATS.length).toBeGreaterThan(5);
  });

  test("that make no sense are told, with exit code 2", async () => {
    expect(await shyaml(["diff", "a", "b", "--colour"])).toMatchObject({
      code: 2,
      err: expect.stringContaining("unknown option '--colour'"),
    });
    expect((await shyaml(["diff", "a", "b", "-o", "xml"])).err).toContain(
      "Allowed choices are terminal, json",
    );
    expect((await shyaml(["diff", "a", "b", "--width=wide"])).code).toBe(2);
    expect((await shyaml(["dif"])).err).toContain("Did you mean diff?");
    expect((await shyaml(["--version"])).code).toBe(0);
  });
});

describe("settings", () => {
  test("are read from .shyaml.yml here or above, up to the repository, and flags win", async () => {
    using folder = folderOf({
      "repo/.shyaml.yml": "output: json\nignoreOrder: true\nschemas: schema.yaml\n",
      "repo/schema.yaml": "",
      "repo/deep/a.yaml": A,
      "repo/deep/b.yaml": B,
      ".shyaml.yml": "output: markdown\n",
    });
    mkdirSync(join(folder.path, "repo/.git"));
    const options = { cwd: join(folder.path, "repo/deep") };
    expect(JSON.parse((await shyaml(["diff", "a.yaml", "b.yaml"], options)).out).summary.differences).toBe(1);
    expect((await shyaml(["diff", "a.yaml", "b.yaml", "-o=terminal"], options)).out).toContain(
      "1 difference in 1",
    );
    const env = { SHYAML_CONFIG: join(folder.path, ".shyaml.yml") };
    expect((await shyaml(["diff", "a.yaml", "b.yaml"], { ...options, env })).out).toContain("<details>");
  });

  test("that make no sense are told with their place", async () => {
    for (const [text, complaint] of [
      ["output: xml\n", ".shyaml.yml:1:9: SETTING_INVALID: output is one of terminal, json"],
      ["comments: 1\n", ".shyaml.yml:1:11: SETTING_INVALID: comments is true or false"],
      ["showSecrets: true\n", '.shyaml.yml:1:1: SETTING_INVALID: there is no setting "showSecrets"'],
      ["a: [\n", ".shyaml.yml:2:1: YAML_INVALID"],
    ]) {
      using folder = folderOf({ ".shyaml.yml": text!, "a.yaml": A });
      const ran = await shyaml(["diff", "a.yaml", "a.yaml"], { cwd: folder.path });
      expect(ran.code).toBe(2);
      expect(ran.err).toContain(complaint);
    }
  });
});

describe("directories", () => {
  test("are compared file by file, objects wherever they stand", async () => {
    const object = (name: string) =>
      `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}}\ndata: {a: x}\n`;
    using folder = folderOf({
      "old/a.yaml": object("one"),
      "old/values/b.yml": "replicas: 1\n",
      "old/notes.txt": "no: [yaml",
      "old/.hidden/x.yaml": "no: [yaml",
      "new/other.yaml": object("one").replace("a: x", "a: y1"),
      "new/values/b.yml": "replicas: 2\n",
      "new/c.json": '{"c": 1}',
    });
    const { out, code } = await shyaml(["diff", "old", "new"], { cwd: folder.path });
    expect(code).toBe(1);
    expect(out).toContain("ConfigMap one  old/a.yaml:1 → new/other.yaml:1\n  data.a  changed  4 → 4");
    expect(out).toContain("values/b.yml  old/values/b.yml:1 → new/values/b.yml:1\n  replicas  changed");
    expect(out).toContain("c.json added  new/c.json:1");
    expect(out).toContain("3 differences in 3 of 3 documents");
  });

  test("of kubectl diff have files without an extension", async () => {
    const object = (replicas: number) =>
      `apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: default}\nspec: {replicas: ${replicas}}\n`;
    using folder = folderOf({
      "LIVE-1/apps.v1.Deployment.default.web": object(1),
      "MERGED-2/apps.v1.Deployment.default.web": object(2),
      "MERGED-2/v1.Namespace..new": "apiVersion: v1\nkind: Namespace\nmetadata: {name: new}\n",
    });
    // Options come last, as kubectl gives them.
    const { out, code } = await shyaml(["diff", "LIVE-1", "MERGED-2", "-o=markdown"], { cwd: folder.path });
    expect(code).toBe(1);
    expect(out).toContain("| Deployment default/web | 1 | 1 modified |\n| Namespace new | 1 | added |");
  });
});

describe("trouble", () => {
  test("with a file is exit code 2 and names it", async () => {
    using folder = folderOf({ "a.yaml": A, "bad.yaml": "a: b: c\n", "bin.yaml": Uint8Array.of(0xc3, 0x28) });
    for (const [name, complaint] of [
      ["none.yaml", "shyaml: FILE_UNREADABLE: none.yaml: there is no such file\n"],
      [
        "bad.yaml",
        "shyaml: bad.yaml:1:4: YAML_INVALID: Nested mappings are not allowed in compact mappings\n",
      ],
      ["bin.yaml", "shyaml: bin.yaml:1:1: YAML_INVALID: not UTF-8\n"],
    ] as const) {
      const ran = await shyaml(["diff", "a.yaml", name], { cwd: folder.path });
      expect(ran).toEqual({ code: 2, out: "", err: complaint });
    }
    const large = await shyaml(["diff", "a.yaml", "-", "--max-mib=1"], {
      cwd: folder.path,
      input: "x".repeat(2 * 1024 * 1024),
    });
    expect(large).toMatchObject({
      code: 2,
      err: expect.stringContaining("LIMIT_EXCEEDED: stdin has "),
    });
  });
});

test("a directory has no more files than its limit, wherever below it they are", () => {
  using folder = folderOf({ "a.yaml": "a: 1\n", "b/c.yml": "c: 1\n", "b/d/e.json": "{}\n", "notes.txt": "" });
  expect(readInput(folder.path, { ...DEFAULT_LIMITS, maxFiles: 3 }).files).toHaveLength(3);
  expect(() => readInput(folder.path, { ...DEFAULT_LIMITS, maxFiles: 2 })).toThrow(
    `LIMIT_EXCEEDED: ${folder.path} has more than 2 files`,
  );
});
