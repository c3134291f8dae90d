import { describe, expect, test } from "vitest";
import { CONFIG_LIMITS, type ConfigLoader, parseTenants, problemsOfChange } from "../../src/index.ts";
import { BASE, change, filesOf, load, plainTenant, tenantOf } from "./memory-source.ts";

/** What is told of a file of the untrusted project `app`, whose only branch is `main`. */
async function told(text: string, config = BASE): Promise<string[]> {
  const { told } = await load({
    config: { main: { "zuul.yaml": config } },
    app: { main: { "zuul.yaml": text } },
  });
  return told.map((one) => one.replace(/^app main zuul\.yaml/, ""));
}

const project = (jobs: string): string => `- project: {check: {jobs: ${jobs}}}\n`;

describe("what is not built is refused by name, at its line", () => {
  const job = (attribute: string): string => `- job:\n    name: x\n    command: [a]\n    ${attribute}\n`;

  test.each([
    "ansible-split-streams: true",
    "ansible-version: 9",
    "cleanup-run: [clean]",
    "failure-url: x",
    "image-build-name: x",
    "exclude-projects: [x]",
    "include-projects: [x]",
    "override-branch: x",
    "success-url: x",
  ])("job %s", async (attribute) => {
    const name = attribute.slice(0, attribute.indexOf(":"));
    const [first, ...more] = await told(job(attribute));
    expect(first).toMatch(new RegExp(`^:4 ${name}.* is not built yet`));
    expect(more).toEqual([]);
  });

  test.each([
    ["roles: [{galaxy: x}]", "roles: an element names a project, as `zuul:`; galaxy is not built yet"],
    ["post-run: [{name: x, cleanup: true}]", "post-run: cleanup is not built yet"],
    ["pre-run: [{name: x, semaphores: s}]", "pre-run: semaphores is not built yet"],
    ["vars: !other {a: 1}", "the tag !other is not built yet"],
  ])("job %s", async (attribute, message) => {
    expect((await told(job(attribute)))[0]).toContain(`:4 ${message}`);
  });

  test("a semaphore is one of one project, the same on each of its branches, and has room", async () => {
    const at = (max: number) => `- semaphore: {name: s, max: ${max}}\n`;
    const { told } = await load({
      config: { main: { "zuul.yaml": BASE } },
      app: { main: { "zuul.yaml": at(2) }, stable: { "zuul.yaml": at(3) }, same: { "zuul.yaml": at(2) } },
      lib: { main: { "zuul.yaml": at(2) + at(0) } },
    });
    expect(told).toEqual([
      "app stable zuul.yaml:1 semaphore s is defined otherwise at app main zuul.yaml:1",
      "lib main zuul.yaml:2 max: a semaphore has room for one at least",
      "lib main zuul.yaml:1 semaphore s is defined already, at app main zuul.yaml:1",
    ]);
  });

  test.each(["image", "flavor", "label", "section", "provider"])("item %s", async (kind) => {
    expect(await told(`\n- ${kind}:\n    name: x\n    data: !encrypted/pkcs1-oaep x\n`)).toContainEqual(
      expect.stringMatching(/^:[24] .* is not built yet/),
    );
  });

  test.each([
    ["manager: independent\n    allow-other-connections: false", "allow-other-connections is not built yet"],
    [
      "manager: independent\n    trigger: {gerrit: [{event: x}]}",
      "trigger: the driver gerrit is not built yet",
    ],
    [
      "manager: independent\n    success: {github: {status: success}}",
      "success: the driver github is not built",
    ],
  ])("pipeline %s", async (attribute, message) => {
    const { told } = await load({
      config: { main: { "zuul.yaml": `- pipeline:\n    name: p\n    ${attribute}\n` } },
    });
    expect(told[0]).toContain(message);
  });

  test.each([
    ["queue: {name: q, dependencies-by-topic: true}", "dependencies-by-topic is not built yet"],
    ["project: {gate: {queue: q}}", "queue is not built yet: Zuul has it at the project now"],
    ["project: {gate: {debug: true}}", "debug is not built yet"],
  ])("%s", async (item, message) => {
    expect((await told(`- ${item}\n`))[0]).toContain(`:1 ${message}`);
  });

  test.each([
    "access-rules",
    "admin-rules",
    "allow-circular-dependencies",
    "authentication-realm",
    "default-ansible-version",
    "exclude-locked-branches",
    "exclude-unprotected-branches",
    "report-build-page",
    "semaphores",
    "web-root",
  ])("tenant %s", (name) => {
    const { tenants, problems } = parseTenants(`- tenant:\n    name: t\n    ${name}: 1\n`);
    expect(tenants).toEqual([]);
    expect(problems).toEqual([{ line: 3, message: expect.stringContaining(`${name} is not built yet`) }]);
  });
});

describe("what is wrong is told at its file and line, with what was meant", () => {
  test.each([
    ["- job:\n    name: x\n    timout: 3\n", ':3 unknown key "timout" in job; did you mean "timeout"?'],
    ["- job:\n    name: x\n    timeout: soon\n", ":3 timeout: must be a number"],
    [
      "- job:\n    name: x\n    timeout: 99999\n",
      ":3 job x: timeout: 99999 s is more than the tenant allows, which is 10800 s",
    ],
    ["- job:\n    name: x\n    voting: maybe\n", ":3 voting: must be true or false"],
    ["- job:\n    parent: base\n", ":1 name: is missing"],
    [
      "- job:\n    name: x\n    post-review: false\n",
      ":3 post-review: once set, it cannot be unset: true is its only value",
    ],
    [
      "- job:\n    name: x\n    command: make test\n",
      ':3 command: a command is a list of words, such as ["make", "test"]',
    ],
    [
      "- job:\n    name: x\n    command: [sleep, 5]\n",
      ":3 command.1: each word of a command is text; quote it",
    ],
    [
      "- job:\n    name: x\n    run: a\n    command: [a]\n",
      ":4 command: is a run of one step; a job has one of both",
    ],
    ["- job:\n    name: x\n    run: ../a\n", ':3 run: "../a" is no path within the repository'],
    ["- job:\n    name: x\n    intermediate: true\n", ":3 intermediate: such a job must be abstract, too"],
    ["- job:\n    name: x\n    vars: {zuul: 1}\n", ":3 vars.zuul: this name is taken by the gate itself"],
    [
      "- job:\n    name: x\n    vars: {a-b: 1}\n",
      ":3 vars.a-b: a variable's name is letters, digits and underscores",
    ],
    ["- job:\n    name: x\n    files: '('\n", ":3 files: error parsing regexp: missing closing ): `(`"],
    [
      "- job:\n    name: x\n    branches: ^(?!stable/)\n",
      ':3 branches: "^(?!stable/)" looks ahead or behind, which RE2 cannot; use {regex: …, negate: true}',
    ],
    [
      "- job:\n    name: x\n    nodeset: {nodes: [{name: a, label: l}, {name: a, label: l}]}\n",
      ":3 nodeset: there are two nodes a",
    ],
    [
      "- job:\n    name: x\n    parent: bose\n",
      ':3 job x has the parent bose, which is not defined; did you mean "base"?',
    ],
    ["- job:\n    name: x\n    nodeset: none\n", ":3 job x has the nodeset none, which is not defined"],
    [
      "- job:\n    name: x\n    required-projects: [apq]\n",
      ':3 job x has apq among its required-projects, which is no project here; did you mean "app"?',
    ],
    [
      "- job:\n    name: x\n    parent: y\n- job:\n    name: y\n    parent: x\n",
      ":6 job y is its own ancestor, by way of x",
    ],
    ["- jub: {}\n", ':1 there is no item "jub"; did you mean "job"?'],
    [
      "- project:\n    check:\n      jobs:\n        - nope\n",
      ":4 there is the job nope, which is not defined",
    ],
    [
      "- project:\n    gade:\n      jobs: [noop]\n",
      ':2 there is the pipeline gade, which is not defined; did you mean "gate"?',
    ],
    ["- project:\n    templates: [t]\n", ":2 there is the template t, which is not defined"],
    [
      "- project-template:\n    name: t\n    branches: 0\n",
      ":3 branches: stands in a project, not in a project-template",
    ],
    [
      "- project:\n    merge-mode: octopus\n",
      ":2 merge-mode: must be merge or merge-resolve or merge-recursive or merge-ort or cherry-pick or squash-merge or rebase",
    ],
    [
      "- project:\n    check:\n      jobs:\n        - noop: {votin: false}\n",
      ':4 unknown key "votin" in check.jobs.0.noop; did you mean "voting"?',
    ],
    [
      "- project:\n    gueue: x\n",
      ':2 gueue: as a pipeline it would be a map with `jobs`; did you mean "queue"?',
    ],
    ["- job:\n    name: x\n    name: y\n", ":3 the key name stands here twice"],
    ["- job: {name: x\n", ":2 Flow map in block collection must be sufficiently indented and end with a }"],
    ["job: {name: x}\n", ":1 a file is a list: each element begins with `- `"],
    ["- job: {name: noop}\n", ":1 job noop is built in"],
  ])("%j", async (text, message) => {
    expect(await told(text)).toContain(message);
  });

  test("a pipeline that merges, or should", async () => {
    const pipeline = (text: string) =>
      load({ config: { main: { "zuul.yaml": `- pipeline:\n    name: p\n${text}` } } });
    expect((await pipeline("    manager: dependent\n")).told).toEqual([
      "config main zuul.yaml:1 success: a dependent pipeline merges, which `local: {merge: true}` says",
    ]);
    expect((await pipeline("    manager: independent\n    success: {local: {merge: true}}\n")).told).toEqual([
      "config main zuul.yaml:4 success: only a dependent pipeline merges",
    ]);
    expect(
      (await pipeline("    manager: independent\n    trigger: {local: [{event: aproved}]}\n")).told,
    ).toEqual([
      "config main zuul.yaml:4 trigger.local.0.event.0: must be change-created or approved or comment or change-merged or ref-updated",
    ]);
  });

  test("two dependent pipelines may not merge to one branch", async () => {
    const second = BASE.replace("name: gate", "name: gate2")
      .split("- pipeline")[2]!
      .replace(/- job[\s\S]*/, "");
    const config = `${BASE}- pipeline${second}- project:\n    name: app\n    gate: {jobs: [noop]}\n    gate2: {jobs: [noop]}\n`;
    const { told } = await load({ config: { main: { "zuul.yaml": config } }, app: { main: {} } });
    expect(told).toEqual([
      expect.stringContaining(
        "project app is in the dependent pipelines gate and gate2; one only merges to its branch main",
      ),
    ]);
  });
});

describe("pipelines that the clock or the gate itself starts", () => {
  const pipeline = async (text: string) => {
    const file = `- pipeline:\n    name: p\n    manager: independent\n    ${text}\n`;
    return (await load({ config: { main: { "zuul.yaml": file } } })).told;
  };

  test.each([
    ["0 1 * * *", undefined],
    ["*/5 * * * 0-4 30 60", undefined],
    ["0 1 * * mon,fri", undefined],
    ["0 1 * *", "has 4 parts"],
    ["0 1 * * * 0 0 0", "has 8 parts"],
    ["@daily", "has 1 parts"],
    ["0 25 * * *", "25"],
    ["0 1 L * *", "more than numbers"],
    ["0 1 31 2 *", "is no time to come"],
    ["0 1 * * * 0 soon", "the jitter soon"],
    ["0 1 * * * 0 -1", "the jitter -1"],
    [`0 1 * * * 0 ${CONFIG_LIMITS.maxJitterSec}`, undefined],
    [
      `0 1 * * * 0 ${CONFIG_LIMITS.maxJitterSec + 1}`,
      "the jitter 86401 is no whole number of seconds up to 86400",
    ],
  ])("at %s", async (time, problem) => {
    const problems = await pipeline(`trigger: {timer: [{time: "${time}"}]}`);
    expect(problems).toEqual(problem === undefined ? [] : [expect.stringContaining(problem)]);
  });

  test("only what the tenant allows starts one, and only what there is", async () => {
    const file = (trigger: string) =>
      `- pipeline: {name: p, manager: independent, trigger: {${trigger}}, disabled: {local: {}}}\n`;
    const zuul = "zuul: {event: parent-change-enqueued, pipeline: gaet}";
    const repositories = (trigger: string) => ({ config: { main: { "zuul.yaml": BASE + file(trigger) } } });
    expect((await load(repositories(zuul))).told).toEqual([
      expect.stringContaining(
        'pipeline p is triggered by pipeline gaet, which is not defined; did you mean "gate"?',
      ),
    ]);
    for (const trigger of ['timer: {time: "0 1 * * *"}', "zuul: {event: project-change-merged}"]) {
      const tenant = plainTenant({}, "    allowed-triggers: [local]\n");
      const { told } = await load(repositories(trigger), tenant);
      const name = trigger.slice(0, trigger.indexOf(":"));
      expect(told).toEqual([
        expect.stringContaining(`pipeline p: the tenant does not allow the trigger ${name}`),
      ]);
    }
    expect(await pipeline("require: {timer: {}}")).toEqual([
      expect.stringContaining("require: there is no driver timer"),
    ]);
  });

  test("a pipeline has a hundred timers at most", async () => {
    const { maxTimers } = CONFIG_LIMITS;
    const timers = (count: number) =>
      `trigger: {timer: [${Array.from({ length: count }, () => '{time: "0 1 * * *"}').join(", ")}]}`;
    expect(await pipeline(timers(maxTimers))).toEqual([]);
    expect(await pipeline(timers(maxTimers + 1))).toEqual([expect.stringContaining("at most 100 timers")]);
  });

  test("a pipeline is named for parents only", async () => {
    expect(await pipeline("trigger: {zuul: [{event: project-change-merged, pipeline: gate}]}")).toEqual([
      expect.stringContaining("pipeline is looked at for the event parent-change-enqueued only"),
    ]);
    expect(await pipeline("trigger: {zuul: [{event: [parent-change-enqueued, x]}]}")).toHaveLength(1);
    expect(await pipeline("disable-after-consecutive-failures: 0")).toHaveLength(1);
    expect(await pipeline("disabled: {local: {merge: true}}")).toHaveLength(1);
  });
});

describe("what may stand where", () => {
  const untrusted = async (text: string) => {
    const { told, layout } = await load({
      config: { main: { "zuul.yaml": BASE } },
      app: { main: { "zuul.yaml": text } },
      lib: { main: { "zuul.yaml": "- job: {name: lib-test, run: test}\n- nodeset: {name: n, nodes: []}\n" } },
    });
    return { told, layout };
  };

  test.each([
    [
      "- pipeline: {name: p, manager: independent}\n",
      "pipeline p: a pipeline stands in a config-project only",
    ],
    ["- job: {name: b, parent: null}\n", "job b: a job without a parent stands in a config-project only"],
    [
      "- project: {name: lib, check: {jobs: [noop]}}\n",
      "project lib: an untrusted project configures only itself, which is app",
    ],
    [
      "- project: {name: ^l, check: {jobs: [noop]}}\n",
      "project ^l: a regular expression stands in a config-project only",
    ],
    ["- nodeset: {name: n, nodes: [{name: a, label: b}]}\n", "nodeset n is defined otherwise"],
  ])("%s", async (text, message) => {
    if (text.includes("nodeset")) {
      const { told } = await load({
        config: { main: { "zuul.yaml": BASE } },
        app: { main: { "zuul.yaml": "- nodeset: {name: n, nodes: []}\n" }, old: { "zuul.yaml": text } },
      });
      expect(told).toEqual([expect.stringContaining(message)]);
    } else expect((await untrusted(text)).told).toEqual([`app main zuul.yaml:1 ${message}`]);
  });

  test("a job's further definitions stand in its own project, unless that one shadows", async () => {
    const repositories = {
      config: { main: { "zuul.yaml": BASE } },
      lib: { main: { "zuul.yaml": "- job: {name: t, run: lib}\n" } },
      app: { main: { "zuul.yaml": "- job: {name: t, run: app}\n- project: {check: {jobs: [t]}}\n" } },
    };
    expect((await load(repositories)).told).toEqual([
      "app main zuul.yaml:1 job t is defined at lib main zuul.yaml:1; further definitions of a job stand in the same project",
    ]);
    const tenant = tenantOf(
      "- tenant: {name: t, source: {local: {config-projects: [config], untrusted-projects: [lib, {app: {shadow: lib}}]}}}",
    );
    const { told, layout } = await load(repositories, tenant);
    expect(told).toEqual([]);
    const result = layout.freeze("check", change("app"));
    expect(result.kind === "graph" && result.jobs.get("t")!.run).toEqual([
      expect.objectContaining({ project: "lib", path: "lib" }),
    ]);
  });

  test("a tenant may let an untrusted project configure others, and leave out kinds of items", async () => {
    const repositories = {
      config: { main: { "zuul.yaml": BASE } },
      boss: { main: { "zuul.yaml": "- project: {name: app, check: {jobs: [noop]}}\n- queue: {name: q}\n" } },
      app: { main: { "zuul.yaml": "- pipeline: {name: p}\n- project: {gate: {jobs: [noop]}}\n" } },
    };
    const tenant = tenantOf(
      "- tenant: {name: t, source: {local: {config-projects: [config], untrusted-projects: " +
        "[{boss: {configure-projects: ^app$}}, {app: {include: [job]}}]}}}",
    );
    const { layout, problems } = await load(repositories, tenant);
    expect(problems.map(({ message }) => message)).toEqual([
      "manager: must be dependent or independent or serial or supercedent",
    ]);
    const check = layout.freeze("check", change("app"));
    expect(check.kind === "graph" && check.graph.jobs).toHaveLength(1);
    const gate = layout.freeze("gate", change("app"));
    expect(gate.kind === "graph" && gate.graph.jobs).toEqual([]);
  });

  test("labels and nodes beyond what the tenant allows", async () => {
    const repositories = {
      config: { main: { "zuul.yaml": BASE } },
      app: {
        main: {
          "zuul.yaml":
            "- nodeset: {name: big, nodes: [{name: [a, b, c], label: small-1}]}\n" +
            "- job:\n    name: j\n    nodeset: {nodes: [{name: a, label: huge}]}\n",
        },
      },
    };
    const { told } = await load(
      repositories,
      plainTenant(repositories, "    max-nodes-per-job: 2\n    allowed-labels: ^small-\n"),
    );
    expect(told).toEqual([
      "app main zuul.yaml:1 nodeset big: it has 3 nodes, and the tenant allows 2 of a job",
      "app main zuul.yaml:4 job j: the tenant does not allow the label huge",
    ]);
  });
});

describe("one fault leaves the rest in effect", () => {
  const repositories = {
    config: { main: { "zuul.yaml": BASE } },
    broken: { main: { "zuul.yaml": "- job: [\n" } },
    app: {
      main: {
        "zuul.yaml": "- job: {name: t, run: t}\n- project: {check: {jobs: [t]}}\n- job: {name: u, x: 1}\n",
      },
    },
  };

  test("of a file, an item, a repository that is not there", async () => {
    const tenant = plainTenant({ ...repositories, gone: {} });
    const { layout, told } = await load(repositories, tenant);
    expect(told).toEqual([
      expect.stringMatching(/^broken main zuul.yaml:2 /),
      'app main zuul.yaml:3 unknown key "x" in job',
      "gone  :null project gone cannot be read: there is no repository gone",
    ]);
    const result = layout.freeze("check", change("app"));
    expect(result.kind === "graph" && result.graph.jobs).toHaveLength(1);
  });

  test("a job that is named and was refused is told as that, and is no job to freeze", async () => {
    const { layout, told } = await load({
      ...repositories,
      app: {
        main: { "zuul.yaml": "- job: {name: u, x: 1}\n- project:\n    check:\n      jobs:\n        - u\n" },
      },
    });
    expect(told).toContain(
      "app main zuul.yaml:5 there is the job u, which was refused, as told at its definition",
    );
    const result = layout.freeze("check", change("app"));
    expect(result).toEqual({
      kind: "problems",
      problems: [
        { project: "app", branch: "main", file: "zuul.yaml", line: 5, message: "job u is not defined" },
      ],
    });
  });

  test("a change is told its own problems and new ones, not those of others", async () => {
    const { loader } = await load(repositories);
    const ofChange = (of: ConfigLoader, project: string, texts: Record<string, string>) => {
      const proposed = of.propose([{ project, branch: "main", files: filesOf(texts) }]);
      return problemsOfChange(proposed, of.current!, [{ project, branch: "main" }]);
    };
    const validate = (project: string, text: string) => ofChange(loader, project, { "zuul.yaml": text });
    expect(validate("broken", "- job: {name: b, run: b}\n")).toEqual([]);
    expect(validate("app", "- job: {name: t, run: t}\n")).toEqual([]);
    // A name that another project's job needs.
    const shared = {
      ...repositories,
      lib: { main: { "zuul.yaml": "- job: {name: l, parent: t, run: l}\n" } },
    };
    const { loader: other } = await load(shared);
    expect(ofChange(other, "app", {})).toEqual([
      expect.objectContaining({
        project: "lib",
        line: 1,
        message: "job l has the parent t, which is not defined",
      }),
    ]);
    expect(other.current!.layout.parts.jobs.has("t")).toBe(true);
    // It moves a fault that was there, which is no new one elsewhere, but stays its own.
    expect(validate("app", "\n\n- job: {name: u, x: 1}\n")).toHaveLength(1);
  });

  describe("a change is not told of what is wrong elsewhere, though it says so in other words now:", () => {
    const texts = (lib: string, other: string) => ({
      config: { main: { "zuul.yaml": BASE } },
      lib: { main: { "zuul.yaml": lib } },
      other: { main: { "zuul.yaml": other } },
    });
    const toldOf = async (before: ReturnType<typeof texts>, lib: string) => {
      const { loader, problems } = await load(before);
      expect(problems).not.toEqual([]);
      const files = filesOf({ "zuul.yaml": lib });
      const proposed = loader.propose([{ project: "lib", branch: "main", files }]);
      expect(proposed.problems).not.toEqual([]);
      return problemsOfChange(proposed, loader.current!, [{ project: "lib", branch: "main" }]);
    };

    test.each([
      ["a job", "- job: {name: t, run: t}\n"],
      ["a queue", "- queue: {name: t}\n"],
      ["a semaphore", "- semaphore: {name: t}\n"],
      ["a secret", "- secret: {name: t, data: {a: b}}\n"],
      ["a nodeset", "- nodeset: {name: t, nodes: []}\n"],
      ["a template", "- project-template: {name: t}\n"],
    ])("the change moves %s, which another project defines, too", async (_, item) => {
      expect(await toldOf(texts(item, item), `\n\n- job: {name: new, run: new}\n${item}`)).toEqual([]);
    });

    test("its job is called much like one that another project misses", async () => {
      const other = project("[unit-test]");
      const lib = "- job: {name: lint, run: l}\n";
      expect(await toldOf(texts(lib, other), `${lib}- job: {name: unit-tests, run: u}\n`)).toEqual([]);
    });

    test("it takes away one of the jobs that miss their default parent", async () => {
      const job = (name: string) => `- job: {name: ${name}, run: r}\n`;
      const before = { ...texts(job("a") + job("b"), job("c")), config: { main: { "zuul.yaml": "" } } };
      expect(await toldOf(before, "[]")).toEqual([]);
      expect(await toldOf(before, job("b"))).toMatchObject([{ project: "lib" }]);
    });
  });

  test("a project read again takes effect, and others stay as they were", async () => {
    const texts = structuredClone(repositories);
    const { loader, layout } = await load(texts);
    texts.app.main["zuul.yaml"] = "- project: {check: {jobs: [noop]}}\n";
    const again = await loader.load(["app"]);
    expect(again.layout.version).toBeGreaterThan(layout.version);
    const result = again.layout.freeze("check", change("app"));
    expect(result.kind === "graph" && result.graph.jobs.map(({ name }) => name)).toEqual(["noop"]);
    expect(again.problems).toHaveLength(1);
  });
});
