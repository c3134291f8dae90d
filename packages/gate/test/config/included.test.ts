import { describe, expect, test } from "vitest";
import { readVariables } from "../../src/config/included.ts";
import { BASE, change, load } from "./memory-source.ts";

const CONFIG = `${BASE}
- job:
    name: central
    parent: base
    command: [make]
    files: [^src/]
    include-vars:
      - {name: versions.yaml, zuul-project: true, required: false}
      - org.yaml
`;

const loaded = (app: string) =>
  load({
    config: { main: { "zuul.yaml": CONFIG } },
    app: { main: { "zuul.yaml": app } },
    data: { main: {} },
  });

async function frozen(app: string, name: string, files: readonly string[]) {
  const { layout, told } = await loaded(app);
  expect(told).toEqual([]);
  const result = layout.freeze("check", change("app", "main", files));
  if (result.kind !== "graph") throw new Error(JSON.stringify(result));
  return result.jobs.get(name);
}

describe("include-vars", () => {
  test("are of the definition's project, of another one, or of the one under test, those of parents first and each once", async () => {
    const job = await frozen(
      `
- job:
    name: own
    parent: central
    include-vars: [own.yaml, {name: all.json, project: data, use-ref: false}]
- project:
    check: {jobs: [{own: {include-vars: own.yaml}}]}
`,
      "own",
      ["src/x"],
    );
    expect(job?.includeVars).toEqual([
      { path: "versions.yaml", project: null, required: false, useRef: true },
      { path: "org.yaml", project: "config", required: true, useRef: true },
      { path: "own.yaml", project: "app", required: true, useRef: true },
      { path: "all.json", project: "data", required: true, useRef: false },
    ]);
  });

  test("may be replaced by a child", async () => {
    const app = `
- job: {name: own, parent: central, include-vars: !override own.yaml}
- project: {check: {jobs: [own]}}
`;
    const job = await frozen(app, "own", ["src/x"]);
    expect(job?.includeVars?.map(({ path }) => path)).toEqual(["own.yaml"]);
  });

  test("make a job run when a change touches one of them, whatever files it is for", async () => {
    const app = "- project: {check: {jobs: [central]}}\n";
    expect(await frozen(app, "central", ["README"])).toBeUndefined();
    expect(await frozen(app, "central", ["versions.yaml"])).toBeDefined();
    expect(await frozen(app, "central", ["org.yaml"])).toBeUndefined();
  });

  test.each([
    ["{name: x, project: data, zuul-project: true}", "include-vars: has project or zuul-project, not both"],
    ["../x", 'include-vars: "../x" is no path within the repository'],
    ["{name: x, project: dta}", "job j has dta among its include-vars, which is no project here"],
  ])("%s is told", async (written, message) => {
    const { told } = await loaded(`- job:\n    name: j\n    command: [a]\n    include-vars: ${written}\n`);
    expect(told).toEqual([expect.stringContaining(`app main zuul.yaml:4 ${message}`)]);
  });
});

describe("a file of variables", () => {
  test("is YAML or JSON, and may be empty", () => {
    expect(readVariables("a: 1\nb: {c: [x]}\n")).toEqual({ a: 1, b: { c: ["x"] } });
    expect(readVariables('{"a": "{{ b }}"}')).toEqual({ a: "{{ b }}" });
    expect(readVariables("")).toEqual({});
    expect(readVariables("# nothing\n")).toEqual({});
  });

  test.each([
    ["- a\n", "it is no map of variables"],
    ["zuul: 1\n", "zuul: this name is taken by the gate itself"],
    ["a b: 1\n", "a b: a variable's name is letters, digits and underscores"],
    ["a: 1\na: 2\n", "line 2: the key a stands here twice"],
    ["a: [\n", "line 2: "],
    ["a: 1\n---\nb: 2\n", "line 2: a file holds one document, not several"],
    ["a: &a [*a]\n", "line 1: maps and lists are nested deeper"],
    ["a: !vault x\n", "line 1: "],
  ])("%j is none", (text, why) => {
    expect(readVariables(text)).toContain(why);
  });
});

test("variables that an untrusted project sets are known as such, unless they are what they were", async () => {
  const app = `
- job: {name: own, parent: central, run: x, vars: {a: 1, deep: {x: 2}}, host-vars: {node: {h: 1}}}
- project:
    vars: {p: 1}
    check: {jobs: [own]}
`;
  const { layout } = await load({
    config: { main: { "zuul.yaml": `${CONFIG}    vars: {a: 1, c: 1, deep: {x: 1}}\n` } },
    app: { main: { "zuul.yaml": app } },
  });
  const result = layout.freeze("check", change("app", "main", ["src/x"]));
  if (result.kind !== "graph") throw new Error(JSON.stringify(result));
  expect(result.jobs.get("own")?.untrustedVars).toEqual(["deep", "h", "p"]);
});
