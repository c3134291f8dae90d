import { describe, expect, test } from "vitest";
import type { FrozenJobDefinition } from "../../src/index.ts";
import { BASE, change, load } from "./memory-source.ts";

const PARENT = `
- job:
    name: parent
    abstract: true
    tags: [slow]
    files: [^src/]
    dependencies: [one, two]
    vars: {a: 1, deep: {b: 2}}
    required-projects: [config]
    pre-run: pre
    post-run: post
    run: run
- job: {name: one, run: r}
- job: {name: two, run: r}
- job: {name: three, run: r}
`;

const JOBS = "- project: {check: {jobs: [one, two, three, child]}}\n";

async function child(attributes: string, files: readonly string[] = ["src/a"], project = JOBS) {
  const text = `${PARENT}- job:\n    name: child\n    parent: parent\n${attributes.replace(/^/gm, "    ")}\n${project}`;
  const { layout, told } = await load({
    config: { main: { "zuul.yaml": BASE } },
    app: { main: { "zuul.yaml": text } },
  });
  const result = layout.freeze("check", change("app", "main", files));
  const problems = result.kind === "problems" ? result.problems.map(({ message }) => message) : [];
  const job: FrozenJobDefinition | undefined = result.kind === "graph" ? result.jobs.get("child") : undefined;
  return { job, problems, told };
}

const paths = (steps: FrozenJobDefinition["run"]): string[] =>
  steps.map((step) => ("path" in step ? step.path : ""));

describe("!override replaces what is else added to", () => {
  test("variables, tags, projects and steps", async () => {
    const { job, told } = await child(
      "vars: !override {c: 3}\ntags: !override [quick]\nrequired-projects: !override []\npre-run: !override mine\npost-run: !override []",
    );
    expect(told).toEqual([]);
    expect(job).toMatchObject({ vars: { c: 3 }, tags: ["quick"], requiredProjects: [] });
    expect([paths(job!.preRun), paths(job!.postRun)]).toEqual([["mine"], []]);
    const { job: plain } = await child("vars: {c: 3}\ntags: [quick]\npre-run: mine");
    expect(plain!.vars).toEqual({ a: 1, deep: { b: 2 }, c: 3 });
    expect(plain!.tags).toEqual(["quick", "slow"]);
    expect(paths(plain!.preRun)).toEqual(["pre", "mine"]);
  });
});

describe("!inherit adds to what is else replaced", () => {
  test("files and dependencies", async () => {
    expect((await child("files: [^doc/]")).job).toBeUndefined();
    const { job, told } = await child(
      "files: !inherit [^doc/]\ndependencies: !inherit [three, {name: one, soft: true}]",
    );
    expect(told).toEqual([]);
    expect(job!.dependencies).toEqual([
      { name: "two", soft: false },
      { name: "three", soft: false },
      { name: "one", soft: true },
    ]);
    expect((await child("files: !inherit [^doc/]", ["doc/a"])).job).toBeDefined();
  });

  test("in a project's pipeline, too", async () => {
    const project = "- project: {check: {jobs: [one, two, three, child: {files: !inherit [^doc/]}]}}\n";
    expect((await child("voting: false", ["doc/a"], project)).job).toMatchObject({ voting: false });
  });
});

describe("tags are refused", () => {
  test.each([
    [
      "workspace-scheme: !override flat",
      "app main zuul.yaml:19 workspace-scheme: !override is for dependencies, extra-vars, ",
    ],
    [
      "vars: {a: !inherit {b: 1}}",
      "app main zuul.yaml:19 the tag !inherit stands at an attribute of a job only",
    ],
    ["vars: !replace {a: 1}", "app main zuul.yaml:19 the tag !replace is not built yet"],
  ])("%s", async (attribute, message) => {
    const { told, job } = await child(attribute);
    expect(told[0]).toMatch(message);
    expect(job).toBeUndefined();
  });
});

describe("attribute-control", () => {
  const FINAL = "attribute-control: {vars: {final: true}}\nvars: {c: 3}";

  test("lets nobody set an attribute after the definition that says so", async () => {
    expect((await child(FINAL)).job!.vars).toEqual({ a: 1, deep: { b: 2 }, c: 3 });
    const project = "- project: {check: {jobs: [one, two, three, child: {vars: {d: 4}}]}}\n";
    const { problems } = await child(FINAL, ["src/a"], project);
    expect(problems).toEqual([
      expect.stringMatching(
        /^vars is final since job child, so that the project's child at app main zuul\.yaml:\d+ may not set it$/,
      ),
    ]);
    const others = "- project: {check: {jobs: [one, two, three, child: {voting: false}]}}\n";
    expect((await child(FINAL, ["src/a"], others)).job).toMatchObject({ voting: false });
  });

  test("is of attributes that there are", async () => {
    const { told } = await child("attribute-control: {varz: {final: true}}");
    expect(told).toContain(
      'app main zuul.yaml:19 attribute-control: there is no attribute varz; did you mean "vars"?',
    );
  });

  test.each(["parent", "branches", "variant-description", "attribute-control"])(
    "is not of %s, which no later definition could set",
    async (name) => {
      const { told } = await child(`attribute-control: {${name}: {final: true}}`);
      expect(told).toContainEqual(expect.stringContaining(`attribute-control: ${name} cannot be final`));
    },
  );

  test("holds by whichever of its names an attribute is called", async () => {
    const project = "- project: {check: {jobs: [one, two, three, child: {semaphores: [more]}]}}\n";
    const { problems } = await child(
      "attribute-control: {semaphore: {final: true}}\nsemaphore: one",
      ["src/a"],
      project,
    );
    expect(problems).toEqual([expect.stringContaining("semaphores is final since job child")]);
  });
});
