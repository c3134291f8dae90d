import { describe, expect, test } from "vitest";
import { type FreezeSubject, isSameJob } from "../../src/index.ts";
import { BASE, change, load, type Repositories } from "./memory-source.ts";

async function frozen(
  app: string,
  subject: FreezeSubject = change("app"),
  more: Repositories = {},
  pipeline = "check",
) {
  const { layout } = await load({
    config: { main: { "zuul.yaml": BASE } },
    app: { main: { "zuul.yaml": app } },
    ...more,
  });
  const result = layout.freeze(pipeline, subject);
  return result.kind === "graph"
    ? { jobs: result.jobs, core: result.graph.jobs, names: [...result.jobs.keys()], problems: [] }
    : {
        jobs: new Map(),
        core: [],
        names: [],
        problems: result.problems.map(({ line, message }) => `${line} ${message}`),
      };
}

const project = (jobs: string): string => `- project:\n    check:\n      jobs: ${jobs}\n`;
const JOB = "- job: {name: t, run: t}\n";

describe("definitions add up", () => {
  test("in the order of the configuration, the project's last; maps of variables deeply", async () => {
    const { jobs } = await frozen(
      "- job: {name: t, run: [one], pre-run: [p1], post-run: [q1, q2], tags: [a], attempts: 2, vars: {m: {a: 1, b: {c: 1}}, l: [1]}}\n" +
        "- job: {name: u, parent: t, pre-run: [p2], post-run: [q0], tags: [b], vars: {m: {b: {d: 2}}, l: [2]}}\n" +
        "- job: {name: u, run: [two, three], vars: {m: {a: null}}}\n" +
        "- project:\n    vars: {m: {z: 9, a: 9}, own: true}\n    check:\n      jobs: [{u: {attempts: 1, vars: {m: {b: 5}}}}]\n",
    );
    const job = jobs.get("u")!;
    const paths = (steps: readonly object[]) => steps.map((step) => ("path" in step ? step.path : step));
    expect(paths(job.preRun)).toEqual(["p1", "p2"]);
    expect(paths(job.run)).toEqual(["two", "three"]);
    expect(paths(job.postRun)).toEqual(["q0", "q1", "q2"]);
    expect(job.tags).toEqual(["a", "b"]);
    expect(job.attempts).toBe(1);
    expect(job.vars).toEqual({ m: { z: 9, a: null, b: 5 }, l: [2], own: true });
  });

  test("what is provided and required, which the core is told", async () => {
    const { core, jobs } = await frozen(
      "- job: {name: t, run: t, provides: [image], requires: base}\n" +
        "- job: {name: u, parent: t, provides: package, requires: [image, base]}\n" +
        "- job: {name: v, parent: t, provides: !override [other], requires: !override []}\n" +
        project("[u, v]"),
    );
    const words = [...jobs.values()].map(({ provides, requires }) => [provides, requires]);
    expect(words).toEqual([
      [
        ["image", "package"],
        ["base", "image"],
      ],
      [["other"], undefined],
    ]);
    expect(core.map(({ provides, requires }) => [provides, requires])).toEqual(words);
  });

  test("failure-output of ancestors among it, whose regular expressions are looked at", async () => {
    const { jobs } = await frozen(
      '- job: {name: t, run: t, failure-output: "^Oops"}\n' +
        "- job: {name: u, parent: t, failure-output: [^Oops, panic]}\n" +
        project("[u]"),
    );
    expect(jobs.get("u")!.failureOutput).toEqual(["^Oops", "panic"]);
    const { told } = await load({
      config: { main: { "zuul.yaml": BASE } },
      app: { main: { "zuul.yaml": '- job: {name: t, run: t, failure-output: ["a(?=b)"]}\n' } },
    });
    expect(told).toEqual([expect.stringContaining("looks ahead or behind")]);
  });

  test("semaphores of ancestors among them, and their room is the layout's", async () => {
    const app =
      "- semaphore: {name: account, max: 2}\n" +
      "- job: {name: t, run: t, semaphores: [account, {name: disk, resources-first: true}]}\n" +
      "- job: {name: u, parent: t, semaphore: {name: account, resources-first: true}}\n" +
      project("[u, {t: {semaphores: other}}]");
    const { layout, told } = await load({
      config: { main: { "zuul.yaml": BASE } },
      app: { main: { "zuul.yaml": app } },
    });
    expect(told).toEqual([]);
    const result = layout.freeze("check", change("app"));
    if (result.kind !== "graph") throw new Error("no graph");
    const use = (name: string, resourcesFirst = false) => ({ name, resourcesFirst });
    expect(result.graph.jobs.map(({ semaphores }) => semaphores)).toEqual([
      [use("account", true), use("disk", true)],
      [use("account"), use("disk", true), use("other")],
    ]);
    expect([...layout.toCoreLayout().semaphores!]).toEqual([["account", 2]]);
  });

  test("and a job that two projects take is the same, unless one of them makes it another", async () => {
    const stanza = (job: string) => `- project:\n    check:\n      jobs: [${job}]\n`;
    const { layout } = await load({
      config: {
        main: { "zuul.yaml": `${BASE}- job: {name: t, run: t, parent: base, vars: {a: 1, b: 2}}\n` },
      },
      one: { main: { "zuul.yaml": stanza("t") } },
      two: { main: { "zuul.yaml": `# Elsewhere.\n${stanza("t: {vars: {b: 2, a: 1}}")}` } },
      three: { main: { "zuul.yaml": stanza("t: {vars: {b: 3}}") } },
      four: { main: { "zuul.yaml": stanza("t: {voting: false}") } },
    });
    const [one, two, three, four] = ["one", "two", "three", "four"].map((name) => {
      const result = layout.freeze("check", change(name));
      if (result.kind !== "graph") throw new Error("no graph");
      return result.jobs.get("t")!;
    });
    expect(isSameJob(one!, two!)).toBe(true);
    expect(isSameJob(one!, three!)).toBe(false);
    expect(isSameJob(one!, four!)).toBe(false);
  });

  test.each([
    [
      "final",
      "- job: {name: t, run: t, final: true}\n- job: {name: u, parent: t}\n",
      "[u]",
      "job t is final, so that u at app main zuul.yaml:2 may not set parent",
    ],
    [
      "final once, though a definition between says otherwise",
      "- job: {name: t, run: t, final: true}\n- job: {name: t, final: false}\n",
      "[{t: {run: other}}]",
      "job t is final, so that the project's t at app main zuul.yaml:5 may not set run",
    ],
    [
      "final in the project",
      "- job: {name: t, run: t, final: true}\n",
      "[{t: {timeout: 3}}]",
      "job t is final, so that the project's t at app main zuul.yaml:4 may not set timeout",
    ],
    [
      "intermediate",
      "- job: {name: t, abstract: true, intermediate: true}\n- job: {name: u, parent: t, run: u}\n",
      "[u]",
      "job t is intermediate, so that u at app main zuul.yaml:2 must be abstract to inherit from it",
    ],
    [
      "abstract",
      "- job: {name: t, abstract: true, run: t}\n",
      "[t]",
      "job t is abstract, so that it cannot run itself",
    ],
    ["nothing to run", "- job: {name: t}\n", "[t]", "job t has nothing to run: it needs run or command"],
    [
      "allowed-projects",
      "- job: {name: t, run: t, allowed-projects: [config]}\n",
      "[t]",
      "project app is not among the allowed-projects of job t",
    ],
    [
      "allowed-projects narrowed",
      "- job: {name: t, run: t, allowed-projects: [app]}\n- job: {name: u, parent: t, allowed-projects: [config]}\n",
      "[u]",
      "project app is not among the allowed-projects of job u",
    ],
    [
      "post-review",
      "- job: {name: t, run: t, post-review: true}\n",
      "[t]",
      "job t is post-review, and pipeline check is not",
    ],
    [
      "protected undone",
      "- job: {name: t, run: t, protected: true}\n- job: {name: t, protected: false}\n",
      "[t]",
      "job t is protected, which t at app main zuul.yaml:2 may not undo",
    ],
    [
      "a dependency that is not there",
      JOB,
      "[{t: {dependencies: [x]}}]",
      "job t depends on x, which is not defined",
    ],
    [
      "a dependency that does not run",
      `${JOB}- job: {name: u, run: u, files: [^doc/]}\n`,
      "[u, {t: {dependencies: u}}]",
      "job t depends on u, which does not run for this item",
    ],
    [
      "a cycle",
      `${JOB}- job: {name: u, run: u}\n`,
      "[{u: {dependencies: t}}, {t: {dependencies: u}}]",
      "jobs depend on each other: u, t",
    ],
  ])("not past %s", async (_, items, jobs, message) => {
    const { problems } = await frozen(items + project(jobs));
    expect(problems).toEqual([expect.stringContaining(message)]);
  });

  test("past a soft dependency on a job that is not defined: others may define it, and here it does not run", async () => {
    const { names } = await frozen(JOB + project("[{t: {dependencies: [{name: x, soft: true}]}}]"));
    expect(names).toEqual(["t"]);
  });

  test("a final job may be told how it counts; an abstract parent's child runs; post-review in a pipeline of it", async () => {
    const { jobs } = await frozen(
      `- job: {name: t, run: t, final: true}\n${project("[{t: {voting: false, files: [READ]}}]")}`,
    );
    expect(jobs.get("t")).toMatchObject({ voting: false });
    const gate = await frozen(
      "- job: {name: t, abstract: true, run: t, post-review: true}\n- job: {name: u, parent: t}\n- project: {gate: {jobs: [u]}}\n",
      change("app"),
      {},
      "gate",
    );
    expect(gate.names).toEqual(["u"]);
  });

  test("a protected job is for its own project's children", async () => {
    const lib = { lib: { main: { "zuul.yaml": "- job: {name: l, run: l, protected: true}\n" } } };
    const { problems } = await frozen(`- job: {name: t, parent: l}\n${project("[t]")}`, change("app"), lib);
    expect(problems).toEqual([
      "4 job l is protected by lib, so that t at app main zuul.yaml:1 may not set parent",
    ]);
  });

  test("a soft dependency on a job that does not run is no obstacle", async () => {
    const { names } = await frozen(
      `${JOB}- job: {name: u, run: u, files: [^doc/]}\n${project("[u, {t: {dependencies: [{name: u, soft: true}]}}]")}`,
    );
    expect(names).toEqual(["t"]);
  });
});

describe("matchers", () => {
  test.each([
    ["files: ^doc/", ["doc/a", "src/b"], true],
    ["files: ^doc/", ["src/b"], false],
    ["files: doc", ["src/doc"], false],
    ["files: [^a$, ^b$]", ["b"], true],
    ["irrelevant-files: ^doc/", ["doc/a", "src/b"], true],
    ["irrelevant-files: ^doc/", ["doc/a", "doc/b"], false],
    ["irrelevant-files: [^doc/, '.*[.]md$']", ["doc/a", "b.md"], false],
    ["files: {regex: ^doc/, negate: true}", ["doc/a"], false],
    ["files: {regex: ^doc/, negate: true}", ["doc/a", "b"], true],
    ["files: ^doc/", null, true],
    ["files: ^doc/", [], true],
  ])("%s on %j: %j", async (matcher, files, runs) => {
    const { names } = await frozen(
      `- job: {name: t, run: t, ${matcher}}\n${project("[t]")}`,
      change("app", "main", files),
    );
    expect(names).toEqual(runs ? ["t"] : []);
  });

  test("the last word about files decides, the project's included", async () => {
    const { names } = await frozen(
      `- job: {name: t, run: t, files: ^src/}\n${project("[{t: {files: ^doc/}}]")}`,
      change("app", "main", ["src/a"]),
    );
    expect(names).toEqual([]);
  });

  const branched = {
    app: {
      main: { "zuul.yaml": `- job: {name: t, run: main}\n${project("[t]")}` },
      old: { "zuul.yaml": "- job: {name: t, run: old}\n" },
    },
  };

  test.each([
    ["branches: main", "main", true],
    ["branches: main", "mainly", true],
    ["branches: ^main$", "mainly", false],
    ["branches: [x, main]", "main", true],
    ["branches: {regex: ^stable/, negate: true}", "stable/1", false],
    ["branches: {regex: ^stable/, negate: true}", "main", true],
  ])("%s on %s: %j", async (matcher, branch, runs) => {
    const config = `${BASE}- job: {name: c, command: [c], ${matcher}}\n- project: {name: app, check: {jobs: [c]}}\n`;
    const { names } = await frozen("", change("app", branch), { config: { main: { "zuul.yaml": config } } });
    expect(names).toEqual(runs ? ["c"] : []);
  });

  test("of one branch only, an untrusted project's job is for any; of several, for its own; a pragma overrules", async () => {
    const user = { user: { main: {}, old: {}, "old/er": {} } };
    const lists = (lib: Repositories["lib"]) =>
      Promise.all(
        ["main", "old", "old/er"].map(async (branch) => {
          const config = `${BASE}- project: {name: user, check: {jobs: [t]}}\n`;
          const { jobs } = await frozen("", change("user", branch), {
            ...user,
            lib: lib!,
            config: { main: { "zuul.yaml": config } },
          });
          return (jobs.get("t")?.run ?? []).map((step: { path: string }) => step.path);
        }),
      );
    expect(await lists({ main: { "zuul.yaml": JOB } })).toEqual([["t"], ["t"], ["t"]]);
    expect(await lists(branched.app)).toEqual([["main"], ["old"], []]);
    const pragma = "- pragma: {implied-branch-matchers: false}\n";
    expect(await lists({ main: { "zuul.yaml": pragma + JOB }, old: {} })).toEqual([["t"], ["t"], ["t"]]);
    const implied = "- pragma: {implied-branches: [^old]}\n";
    expect(await lists({ main: { "zuul.yaml": implied + JOB }, old: {} })).toEqual([[], ["t"], ["t"]]);
  });

  test("a tag is matched by its ref, or by branches that hold it", async () => {
    const config = (branches: string) =>
      `${BASE}- job: {name: c, command: [c], branches: ${branches}}\n- project: {name: app, check: {jobs: [c]}}\n`;
    const tag = { project: "app", branch: null, ref: "refs/tags/1.0", files: null };
    const names = async (branches: string, subject: FreezeSubject) =>
      (await frozen("", subject, { config: { main: { "zuul.yaml": config(branches) } } })).names;
    expect(await names("^refs/tags/", tag)).toEqual(["c"]);
    expect(await names("main", tag)).toEqual([]);
    expect(await names("main", { ...tag, containingBranches: ["main"] })).toEqual(["c"]);
  });
});

describe("a change that alters a job runs it, whatever files it is for", () => {
  const before = `- job: {name: t, run: tools/test, files: ^src/}\n- job: {name: u, run: u, files: ^src/}\n${project("[t, u]")}`;

  test("its executable, or its definition, unless match-on-config-updates is off", async () => {
    const { loader, layout } = await load({
      config: { main: { "zuul.yaml": BASE } },
      app: { main: { "zuul.yaml": before } },
    });
    const names = (files: string[], text?: string) => {
      const proposed =
        text === undefined
          ? {}
          : {
              compared: loader.propose([
                { project: "app", branch: "main", files: [{ path: "zuul.yaml", text }] },
              ]).layout.parts,
            };
      const result = layout.freeze("check", { ...change("app", "main", files), ...proposed });
      return result.kind === "graph" ? [...result.jobs.keys()] : result.problems;
    };
    expect(names(["README"])).toEqual([]);
    expect(names(["tools/test"])).toEqual(["t"]);
    expect(names(["zuul.yaml"], before.replace("run: u", "run: u, timeout: 9"))).toEqual(["u"]);
    expect(names(["zuul.yaml"], `\n${before}`)).toEqual([]);
  });

  test("one that has been for other branches, too", async () => {
    const text = (branches: string) =>
      `${before}- job: {name: v, run: v, files: ^src/, branches: ${branches}}\n${project("[v]")}`;
    const { loader, layout } = await load({
      config: { main: { "zuul.yaml": BASE } },
      app: { main: { "zuul.yaml": text("old") } },
    });
    const files = [{ path: "zuul.yaml", text: text("[old, main]") }];
    const proposed = loader.propose([{ project: "app", branch: "main", files }]).layout;
    const compared = layout.parts;
    const result = proposed.freeze("check", { ...change("app", "main", ["zuul.yaml"]), compared });
    expect(result.kind === "graph" && [...result.jobs.keys()]).toEqual(["v"]);
  });

  test("not when it says so", async () => {
    const text = before.replace("name: t", "name: t, match-on-config-updates: false");
    expect((await frozen(text, change("app", "main", ["tools/test"]))).names).toEqual([]);
  });
});

test("explainJobs says of each job why it runs or not", async () => {
  const { layout } = await load({
    config: { main: { "zuul.yaml": BASE } },
    app: {
      main: {
        "zuul.yaml": `${JOB}- job: {name: u, run: u, files: ^doc/}\n- job: {name: v, run: v, branches: old}\n- job: {name: w, abstract: true}\n${project("[t, u, v, w, {zzz: {}}]")}`,
      },
    },
  });
  const explained = layout.explainJobs("check", change("app"));
  expect(explained.map(({ inheritance: _, ...rest }) => rest)).toEqual([
    { job: "t", runs: true, reasons: ["It runs: t in check, as app main zuul.yaml:7 says."] },
    { job: "u", runs: false, reasons: ["None of the change's files is one of its files (^doc/)."] },
    {
      job: "v",
      runs: false,
      reasons: [
        "The definition of v at app main zuul.yaml:3 is for old, not for main.",
        "No definition of v is for this branch.",
      ],
    },
    { job: "w", runs: false, reasons: ["It cannot run: job w is abstract, so that it cannot run itself."] },
    { job: "zzz", runs: false, reasons: ["It cannot run: job zzz is not defined."] },
  ]);
  const definitions = explained.map(({ inheritance }) =>
    inheritance.map(({ job, project, line }) => `${job} ${project}:${line}`),
  );
  expect(definitions.slice(1).flat()).toEqual([]);
  expect(definitions[0]!.slice(-2)).toEqual(["t app:1", "t app:7"]);
});
