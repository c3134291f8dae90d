import fc from "fast-check";
import { expect, test } from "vitest";
import {
  CONFIG_LIMITS,
  type ConfigFile,
  ConfigLoader,
  Kept,
  type LoadedLayout,
  problemsOfChange,
} from "../../src/index.ts";
import { BASE, change, filesOf, memorySource, plainTenant, type Repositories } from "./memory-source.ts";

/** All that a layout says, as text: lists in their order, and regular expressions by what they match. */
function saysAll({ layout, problems }: LoadedLayout): string {
  const plain = (key: string, value: unknown): unknown => {
    if (key === "version" || key === "tenant") return undefined;
    if (value instanceof Map) return [...value];
    return value instanceof Set ? [...value].sort() : value;
  };
  return JSON.stringify([layout.parts, problems], plain, 1);
}

const NAMES = ["a", "b", "c", "d"];
const name = fc.constantFrom(...NAMES);
/** Right ones, wrong ones, and such as are right only beside others. */
const item = fc.oneof(
  fc.tuple(name, name).map(([job, parent]) => `- job: {name: ${job}, parent: ${parent}, run: r}\n`),
  name.map((job) => `- job: {name: ${job}, run: r, nodeset: n-${job}}\n`),
  name.map((job) => `- job: {name: ${job}, run: r, branches: old}\n`),
  name.map((job) => `- job: {name: ${job}, unknown: 1}\n`),
  name.map((nodeset) => `- nodeset: {name: n-${nodeset}, nodes: [{name: x, label: ${nodeset}}]}\n`),
  fc.tuple(name, name).map(([one, other]) => `- project: {check: {jobs: [${one}, ${other}]}}\n`),
  name.map((template) => `- project: {templates: [t-${template}]}\n`),
  fc
    .tuple(name, name)
    .map(([template, job]) => `- project-template: {name: t-${template}, check: {jobs: [${job}]}}\n`),
  fc
    .tuple(name, name)
    .map(([queue, other]) => `- queue: {name: q-${queue}}\n- project: {queue: q-${other}}\n`),
  fc.constant("- pipeline: {name: check, manager: independent}\n"),
  fc.constant("- job: {name: [\n"),
);
const text = fc.array(item, { maxLength: 6 }).map((items) => items.join(""));

interface Edit {
  readonly project: "config" | "one" | "two";
  readonly branch: "main" | "old";
  readonly path: string;
  readonly text: string;
}

const edit: fc.Arbitrary<Edit> = fc.record({
  project: fc.constantFrom("one", "two", "config"),
  branch: fc.constantFrom("main", "old"),
  path: fc.constantFrom("zuul.d/a.yaml", "zuul.d/b.yaml"),
  text,
});

const beginning = (): Repositories => ({
  config: { main: { "zuul.d/a.yaml": BASE } },
  one: { main: {}, old: {} },
  two: { main: {} },
});

/** Of the config-project the pipelines stay. */
function apply(repositories: Repositories, { project, branch, path, text }: Edit): void {
  const branches = repositories[project]!;
  if (project === "config") branches.main!["zuul.d/b.yaml"] = text;
  else branches[branch] = { ...branches[branch], [path]: text };
}

test("a layout loaded edit by edit is the one that is loaded from scratch", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 8 }), async (edits) => {
      const repositories = beginning();
      const loader = new ConfigLoader(plainTenant(repositories), memorySource(repositories));
      await loader.load();
      for (const one of edits) {
        apply(repositories, one);
        const stepwise = await loader.load([one.project]);
        const anew = await new ConfigLoader(loader.tenant, memorySource(repositories)).load();
        expect(saysAll(stepwise)).toBe(saysAll(anew));
      }
    }),
    { numRuns: 60 },
  );
});

test("what changes would make of the configuration is what it is once they have merged", async () => {
  await fc.assert(
    fc.asyncProperty(text, text, fc.array(edit, { minLength: 1, maxLength: 4 }), async (one, two, edits) => {
      const repositories = beginning();
      repositories.one!.main!["zuul.d/a.yaml"] = one;
      repositories.two!.main!["zuul.d/a.yaml"] = two;
      const tenant = plainTenant(repositories);
      const loader = new ConfigLoader(tenant, memorySource(repositories));
      const merged = await loader.load();
      const before = saysAll(merged);
      const after = structuredClone(repositories);
      for (const edit of edits) {
        const { project } = edit;
        const branch = after[project]![edit.branch] === undefined ? "main" : edit.branch;
        apply(after, { ...edit, branch });
      }
      const changed = Object.entries(after).flatMap(([project, branches]) =>
        Object.entries(branches).map(([branch, texts]) => ({ project, branch, files: filesOf(texts) })),
      );
      const proposed = loader.propose(changed);
      expect(saysAll(proposed)).toBe(saysAll(await new ConfigLoader(tenant, memorySource(after)).load()));
      // In any order it is the same one, and nothing of it has taken effect.
      expect(loader.propose(changed.toReversed())).toBe(proposed);
      expect(loader.current).toBe(merged);
      expect(saysAll(merged)).toBe(before);
      const told = problemsOfChange(proposed, merged, []);
      for (const problem of merged.problems) expect(told).not.toContainEqual(problem);
    }),
    { numRuns: 60 },
  );
});

test("a proposal is put together once, until something has merged", async () => {
  const repositories = beginning();
  const loader = new ConfigLoader(plainTenant(repositories), memorySource(repositories));
  await loader.load();
  const files: ConfigFile[] = filesOf({ "zuul.yaml": "- job: {name: a, run: r}\n" });
  const changes = [{ project: "one", branch: "main", files }];
  const first = loader.propose(changes);
  expect(loader.propose([{ ...changes[0]!, files: [...files] }])).toBe(first);
  // Of another place, or of another text, it is another.
  expect(loader.propose([{ ...changes[0]!, branch: "old" }])).not.toBe(first);
  await loader.load(["two"]);
  const second = loader.propose(changes);
  expect(second).not.toBe(first);
  expect(second.layout.freeze("check", change("one")).kind).toBe("graph");
  // Branches that the tenant does not load say nothing.
  expect(loader.propose([{ project: "config", branch: "side", files }])).toBe(loader.current);
  expect(loader.propose([{ project: "none", branch: "main", files }])).toBe(loader.current);
});

test("what is kept has limits, and what was asked for last stays", () => {
  expect(CONFIG_LIMITS).toMatchObject({ maxKeptLength: 64 * 1024 * 1024, maxKeptLayouts: 100 });
  const kept = new Kept<string>(3);
  for (const key of ["a", "b", "c"]) kept.keep(key, key, 1);
  expect(kept.find("a")).toBe("a");
  kept.keep("d", "d", 1);
  expect(["a", "b", "c", "d"].map((key) => kept.find(key))).toEqual(["a", undefined, "c", "d"]);
  expect(kept.keep("e", "e", 4)).toBe("e");
  expect([kept.size, kept.find("e")]).toEqual([3, undefined]);
  kept.keep("a", "A", 3);
  expect([kept.size, kept.find("a")]).toEqual([1, "A"]);
});
