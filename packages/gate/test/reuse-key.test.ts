import { describe, expect, test } from "vitest";
import type { BuildRequest } from "../src/executor/build-request.ts";
import { canonicalJson, contentKey, type KeyFacts, uniqueOf } from "../src/reuse/key.ts";
import { sharedRequest } from "../src/reuse/shared-request.ts";

const A = "a".repeat(40);
const B = "b".repeat(40);
const C = "c".repeat(40);

const REQUEST: BuildRequest = {
  build: "",
  job: "unit",
  run: [
    { argv: ["make", "test"], level: 1 },
    { project: "tools", commit: C, path: "ci/run", level: 0 },
  ],
  timeoutMs: 1_000,
  vars: { b: 1, a: { y: 2, x: [1, 2] } },
  network: false,
  shared: true,
  project: "app",
  repositories: [
    { project: "app", repository: "/r/app.git", branches: {}, checkout: A, required: false, history: false },
    { project: "lib", repository: "/r/lib.git", branches: {}, checkout: B, required: true, history: false },
    { project: "tools", repository: "/r/tools.git", branches: {}, checkout: "", mounted: false },
  ],
  zuul: { tenant: "main" },
};
const FACTS: KeyFacts = {
  tenant: "main",
  zone: "local",
  trusted: [false, true],
  nodes: [{ names: ["n"], label: "large" }],
  groups: [],
  environment: "debian",
  treeOf: (project, commit) => `tree of ${project} at ${commit}`,
  tags: {},
};

const base = contentKey(REQUEST, FACTS);
const [app, lib, tools] = REQUEST.repositories;

describe("a content key", () => {
  test("is the same for the same content, in whatever order maps are and wherever repositories are", () => {
    expect(base).toMatch(/^[\w-]{43}$/);
    expect(contentKey({ ...REQUEST, vars: { a: { x: [1, 2], y: 2 }, b: 1 } }, FACTS)).toBe(base);
    expect(contentKey({ ...REQUEST, build: "another name" }, FACTS)).toBe(base);
    const moved = REQUEST.repositories.map((one) => ({ ...one, repository: `/elsewhere${one.repository}` }));
    expect(contentKey({ ...REQUEST, repositories: moved }, FACTS)).toBe(base);
  });

  test("is the same for other commits of the same trees", () => {
    const treeOf: KeyFacts["treeOf"] = (project, commit) => FACTS.treeOf(project, commit === B ? A : commit);
    const other = { ...REQUEST, repositories: [{ ...app!, checkout: B }, lib!, tools!] };
    expect(contentKey(other, { ...FACTS, treeOf })).toBe(contentKey(REQUEST, { ...FACTS, treeOf }));
    expect(contentKey(other, FACTS)).not.toBe(base);
  });

  const DIFFERENT: readonly (readonly [string, Partial<BuildRequest>, Partial<KeyFacts>])[] = [
    ["job", { job: "other" }, {}],
    ["project under test", { project: "lib" }, {}],
    ["command", { run: [{ argv: ["make", "tests"], level: 1 }, REQUEST.run[1]!] }, {}],
    [
      "executable's tree",
      { run: [REQUEST.run[0]!, { project: "tools", commit: A, path: "ci/run", level: 0 }] },
      {},
    ],
    [
      "executable's path",
      { run: [REQUEST.run[0]!, { project: "tools", commit: C, path: "ci/other", level: 0 }] },
      {},
    ],
    ["order of what is run", { run: REQUEST.run.toReversed() }, {}],
    ["phase", { preRun: [REQUEST.run[0]!] }, {}],
    ["variable", { vars: { b: 2, a: { y: 2, x: [1, 2] } } }, {}],
    ["order of a list", { vars: { b: 1, a: { y: 2, x: [2, 1] } } }, {}],
    ["artifact", { zuul: { tenant: "main", artifacts: [{ job: "p", name: "x", sha256: "1" }] } }, {}],
    [
      "artifact of a change ahead",
      { zuul: { tenant: "main", artifacts: [{ project: "lib", job: "p", name: "x", sha256: "2" }] } },
      {},
    ],
    ["timeout", { timeoutMs: 2_000 }, {}],
    ["network", { network: true }, {}],
    ["workspace scheme", { workspaceScheme: "flat" }, {}],
    ["repository less", { repositories: [app!, tools!] }, {}],
    [
      "branch that is told",
      { repositories: [{ ...app!, branches: { main: A }, checkout: "main" }, lib!, tools!] },
      {},
    ],
    ["history", { repositories: [{ ...app!, history: true }, lib!, tools!] }, {}],
    ["tenant", {}, { tenant: "other" }],
    ["zone", {}, { zone: "other" }],
    ["trust", {}, { trusted: [true, true] }],
    ["label", {}, { nodes: [{ names: ["n"], label: "small" }] }],
    ["image", {}, { environment: "debian 2" }],
  ];
  test.each(DIFFERENT)("is another one for another %s", (_what, request, facts) => {
    expect(contentKey({ ...REQUEST, ...request }, { ...FACTS, ...facts })).not.toBe(base);
  });

  test("with a history, is of commits, branches and tags", () => {
    const own = { ...app!, history: true, branches: { main: A }, checkout: "main", before: { main: B } };
    const of = (more: object, tags: string[] = []) =>
      contentKey(
        { ...REQUEST, repositories: [{ ...own, ...more }, lib!, tools!] },
        { ...FACTS, tags: { app: tags } },
      );
    const keys = [of({}), of({ branches: { main: B } }), of({ before: {} }), of({}, ["refs/tags/v1 x"])];
    expect(new Set(keys).size).toBe(4);
    expect(of({})).toBe(keys[0]);
  });

  test("gives another unique with each failure", () => {
    expect([uniqueOf(base, 0), uniqueOf(base, 1)]).toEqual([`${base}.0`, `${base}.1`]);
  });
});

test("what is asked for does not tell by its order which projects changes ahead have touched", () => {
  const whole = ["app", "tools", "lib"].map((project) => {
    return { project, repository: `/r/${project}.git`, branches: { main: A }, checkout: "main" };
  });
  const required = ["tools", "lib"].map((name) => ({ name, overrideCheckout: null }));
  const of = (repositories: BuildRequest["repositories"]) =>
    sharedRequest({ ...REQUEST, repositories }, { inputs: [], requiredProjects: required }, () => A);
  const [own, ...others] = whole;
  expect(of([own!, ...others.toReversed()])).toEqual(of(whole));
  expect(of(whole)!.repositories.map(({ project }) => project)).toEqual(["app", "lib", "tools"]);
});

test("canonical JSON is one text for equal values, and tells lists from maps", () => {
  expect(canonicalJson({ b: [{ d: 1, c: 2 }], a: null })).toBe('{"a":null,"b":[{"c":2,"d":1}]}');
  expect(canonicalJson({ 0: "x" })).not.toBe(canonicalJson(["x"]));
});
