import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import {
  CONFIG_LIMITS,
  checkConfigFolder,
  git,
  parseTenants,
  STARTER_CONFIG_FILES,
  starterTenantFile,
} from "../../src/index.ts";
import { BASE, change, load } from "./memory-source.ts";

const told = async (files: Record<string, string>) =>
  (await load({ config: { main: { "zuul.yaml": BASE } }, app: { main: files } })).told.map((one) =>
    one.replace("app main ", ""),
  );

describe("limits", () => {
  test("of a file: length, depth, values, problems, regular expressions", async () => {
    const { maxFileLength, maxDepth, maxProblems, maxRegexes } = CONFIG_LIMITS;
    const of = async (text: string) => (await told({ "zuul.yaml": text })).at(-1);
    expect(await of("#".repeat(maxFileLength + 1))).toContain(`a file may have ${maxFileLength} characters`);
    for (const deep of ["[".repeat(20_000), "- ".repeat(20_000), `- a: &a [*a]`]) {
      expect(await of(deep)).toContain(`nested deeper than ${maxDepth}`);
    }
    const names = "abcdefghi".split("");
    const bomb = names.map(
      (name, i) => `- ${name}: &${name} [${Array(9).fill(i === 0 ? "x" : `*${names[i - 1]}`)}]`,
    );
    expect(await of(bomb.join("\n"))).toContain("values, aliases included");
    expect(await told({ "zuul.yaml": "- x: 1\n".repeat(maxProblems + 7) })).toHaveLength(maxProblems + 1);
    const regexes = Array.from({ length: maxRegexes + 1 }, (_, i) => `a${i}`);
    expect(await of(`- job: {name: t, files: [${regexes}]}`)).toContain(
      `${maxRegexes} different regular expressions`,
    );
  });

  test("of a branch: files and their length", async () => {
    const { maxFiles, maxBranchLength, maxFileLength } = CONFIG_LIMITS;
    const many = Object.fromEntries(
      Array.from({ length: maxFiles + 1 }, (_, i) => [`zuul.d/${String(i).padStart(5, "0")}.yaml`, ""]),
    );
    expect(await told(many)).toEqual([
      expect.stringContaining(`zuul.d/00${maxFiles}.yaml:1 a branch may have`),
    ]);
    const large = Object.fromEntries(
      Array.from({ length: maxBranchLength / maxFileLength + 1 }, (_, i) => [
        `zuul.d/${i}.yaml`,
        "#".repeat(maxFileLength),
      ]),
    );
    expect(await told(large)).toHaveLength(1);
  });

  test("of a regular expression: length, repeats, and no time that grows with what is matched", async () => {
    const { maxRegexLength, maxRegexRepeats } = CONFIG_LIMITS;
    const of = (regex: string) => told({ "zuul.yaml": `- job: {name: t, run: t, files: ['${regex}']}\n` });
    expect(await of("[a]".repeat(maxRegexLength))).toEqual([
      expect.stringContaining(`${maxRegexLength} characters`),
    ]);
    expect(await of(`(x{${maxRegexRepeats}})x{1}`)).toEqual([
      expect.stringContaining(`repeat ${maxRegexRepeats} times`),
    ]);
    const { layout } = await load({
      config: { main: { "zuul.yaml": BASE } },
      app: {
        main: { "zuul.yaml": "- job: {name: t, run: t, files: ['(a+)+$']}\n- project: {check: {jobs: [t]}}" },
      },
    });
    // A regular expression that goes back would not end before the sun does.
    const result = layout.freeze("check", change("app", "main", [`${"a".repeat(5000)}b`]));
    expect(result.kind === "graph" && result.graph.jobs).toEqual([]);
  });

  test("of a job: ancestors and the length of its name; of an item: jobs", async () => {
    const { maxAncestors, maxNameLength, maxJobs } = CONFIG_LIMITS;
    const chain = Array.from(
      { length: 5000 },
      (_, i) => `- job: {name: j${i}, run: x, parent: j${i + 1}}`,
    ).join("\n");
    const messages = await told({
      "zuul.yaml": `${chain}\n- job: {name: j5000}\n- project: {check: {jobs: [j0]}}`,
    });
    expect(messages[0]).toContain(`has more than ${maxAncestors} ancestors`);
    const repositories = (text: string) => ({
      config: { main: { "zuul.yaml": BASE } },
      app: { main: { "zuul.yaml": text } },
    });
    const { layout } = await load(repositories(`${chain}\n- project: {check: {jobs: [j0]}}`));
    expect(layout.freeze("check", change("app"))).toMatchObject({
      problems: [{ message: expect.stringContaining(`more than ${maxAncestors} ancestors`) }],
    });
    expect((await told({ "zuul.yaml": `- job: {name: ${"n".repeat(maxNameLength + 1)}}` }))[0]).toContain(
      "at most",
    );
    const names = Array.from({ length: maxJobs + 1 }, (_, i) => `j${i}`);
    const jobs = names.map((name) => `- job: {name: ${name}, run: x}`).join("\n");
    const many = await load(repositories(`${jobs}\n- project: {check: {jobs: [${names}]}}`));
    expect(many.layout.freeze("check", change("app"))).toMatchObject({
      problems: [{ message: `an item may have ${maxJobs} jobs` }],
    });
  });
});

describe("files of a branch", () => {
  const job = (name: string) => `- job: {name: ${name}, run: x}\n`;

  test.each([
    [{ ".zuul.yaml": job("b"), "zuul.yaml": job("a"), "zuul.d/x.yaml": job("c") }, ["a"]],
    [
      {
        ".zuul.yaml": job("b"),
        "zuul.d/x.yaml": job("c"),
        "zuul.d/a/y.yaml": job("d"),
        "zuul.d/z.txt": job("e"),
      },
      ["d", "c"],
    ],
    [{ ".zuul.d/x.yaml": job("c"), ".zuul.yaml": job("b") }, ["b"]],
    [{ "zuul.d/x.yaml": job("c"), "zuul.d/off/.zuul.ignore": "", "zuul.d/off/y.yaml": job("d") }, ["c"]],
  ])("%j", async (files, names) => {
    const { layout } = await load({
      config: { main: { "zuul.yaml": BASE } },
      app: { main: files as Record<string, string> },
    });
    expect([...layout.parts.jobs.keys()]).toEqual(["base", ...names]);
  });
});

describe("whatever the text, there is nothing but problems", () => {
  const word = fc.constantFrom(
    "job",
    "project",
    "project-template",
    "pipeline",
    "queue",
    "nodeset",
    "pragma",
    "secret",
    "name",
    "parent",
    "run",
    "jobs",
    "check",
    "gate",
    "templates",
    "vars",
    "files",
    "branches",
    "dependencies",
    "trigger",
    "local",
    "event",
    "success",
    "manager",
    "dependent",
    "base",
    "noop",
    "t",
    "__proto__",
    "<<",
    "constructor",
    "toString",
    "",
  );
  const leaf = fc.oneof(word, fc.boolean(), fc.integer(), fc.double(), fc.constant(null), fc.string());
  const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 5, withCrossShrink: true },
      leaf,
      fc.array(tie("tree"), { maxLength: 4 }),
      fc.dictionary(word, tie("tree"), { maxKeys: 5 }),
    ),
  }));
  const file = fc.array(fc.dictionary(word, tree, { minKeys: 1, maxKeys: 1 }), { maxLength: 5 });

  const tryAll = async (text: string): Promise<void> => {
    const { loader, layout, problems } = await load({
      config: { main: { "zuul.yaml": BASE } },
      app: { main: { "zuul.yaml": text }, old: { "zuul.yaml": text } },
    });
    for (const problem of problems) {
      if (problem.file !== "") expect(problem.line).toBeGreaterThan(0);
      expect(problem.message).not.toBe("");
    }
    for (const pipeline of ["check", "gate"]) {
      const result = layout.freeze(pipeline, change("app"));
      if (result.kind === "graph")
        expect(JSON.parse(JSON.stringify([...result.jobs]))).toEqual([...result.jobs]);
      layout.explainJobs(pipeline, change("app"));
    }
    layout.toCoreLayout();
    loader.propose([{ project: "config", branch: "main", files: [{ path: "zuul.yaml", text }] }]);
    parseTenants(text);
    parseTenants(text.replaceAll("job", "tenant").replaceAll("check", "source"));
  };

  test("of any text", async () => {
    await fc.assert(fc.asyncProperty(fc.string({ unit: "binary", maxLength: 200 }), tryAll), {
      numRuns: 150,
    });
  });

  test("of YAML that looks like configuration", async () => {
    await fc.assert(
      fc.asyncProperty(file, (items) => tryAll(stringify(items, { aliasDuplicateObjects: false }))),
      {
        numRuns: 300,
      },
    );
  });

  test("of good configuration with a piece cut out", async () => {
    const good = STARTER_CONFIG_FILES.map(({ text }) => text).join("\n");
    await fc.assert(
      fc.asyncProperty(fc.nat(good.length), fc.nat(300), (from, length) =>
        tryAll(good.slice(0, from) + good.slice(from + length)),
      ),
      { numRuns: 150 },
    );
  });
});

describe("checkConfigFolder", () => {
  const folders: string[] = [];
  const folder = async () => {
    folders.push(await mkdtemp(join(tmpdir(), "drover-config-")));
    return folders.at(-1)!;
  };
  afterAll(() => Promise.all(folders.map((dir) => rm(dir, { recursive: true, force: true }))));

  test("of a work tree: its own faults, not names that others may define", async () => {
    const dir = await folder();
    await mkdir(join(dir, "zuul.d", "more"), { recursive: true });
    await writeFile(
      join(dir, "zuul.d/a.yaml"),
      "- job: {name: t, parent: elsewhere, run: t}\n- project: {check: {jobs: [t, x]}}\n",
    );
    await writeFile(join(dir, "zuul.d/more/b.yaml"), "- job:\n    name: u\n    tiemout: 3\n");
    const { kind, problems, files } = await checkConfigFolder(dir);
    expect({ kind, files }).toEqual({ kind: "work tree", files: 2 });
    expect(problems).toEqual([
      expect.objectContaining({
        file: "zuul.d/more/b.yaml",
        line: 3,
        message: expect.stringContaining("timeout"),
      }),
    ]);
  });

  test("of a config-project's work tree", async () => {
    const dir = await folder();
    await mkdir(join(dir, "zuul.d"));
    for (const { path, text } of STARTER_CONFIG_FILES) await writeFile(join(dir, path), text);
    expect((await checkConfigFolder(dir)).problems).toEqual([]);
  });

  test("of a gate's folder: what its repositories have merged", async () => {
    const dir = await folder();
    const gitDir = join(dir, "repositories", "conf.git");
    await mkdir(join(dir, "repositories"));
    const env = Object.fromEntries(
      ["AUTHOR", "COMMITTER"].flatMap((who) => [
        [`GIT_${who}_NAME`, "a"],
        [`GIT_${who}_EMAIL`, "a@b"],
      ]),
    );
    await git(["init", "-q", "--bare", "-b", "main", gitDir]);
    let stream = "commit refs/heads/main\ncommitter a <a@b> 0 +0000\ndata 1\nx\n";
    for (const { path, text } of [
      ...STARTER_CONFIG_FILES,
      { path: "zuul.d/z.yaml", text: "- job: {name: t, parent: bese}\n" },
    ]) {
      stream += `M 100644 inline ${path}\ndata ${Buffer.byteLength(text)}\n${text}\n`;
    }
    await git(["fast-import", "--quiet"], { gitDir, env, input: stream });
    await writeFile(join(dir, "gate.yaml"), starterTenantFile("main", "conf", ["lost"]));
    const { kind, problems, files, layouts } = await checkConfigFolder(dir);
    expect({ kind, files, layouts: layouts.length }).toEqual({ kind: "gate", files: 4, layouts: 1 });
    expect(problems.map(({ project, message }) => `${project}: ${message}`)).toEqual([
      expect.stringMatching(
        /^lost: project lost cannot be read: there is no repository .*lost\.git; drover gate project import brings one$/,
      ),
      'conf: job t has the parent bese, which is not defined; did you mean "base"?',
    ]);
    await writeFile(join(dir, "gate.yaml"), "- tenent: {}\n");
    expect((await checkConfigFolder(dir)).problems).toEqual([
      {
        project: "",
        branch: "",
        file: "gate.yaml",
        line: 1,
        message: 'there is no item "tenent" in a tenant file; did you mean "tenant"?',
      },
    ]);
  });

  test("of a folder that is neither", async () => {
    expect((await checkConfigFolder(await folder())).problems[0]!.message).toContain(
      "there is neither gate.yaml",
    );
  });
});
