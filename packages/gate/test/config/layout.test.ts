import { describe, expect, test } from "vitest";
import { STARTER_CONFIG_FILES, starterProjectFile, starterTenantFile } from "../../src/index.ts";
import { BASE, change, load, tenantOf } from "./memory-source.ts";

/** Modelled on how a large installation of Zuul is configured: shared jobs, templates, a common queue, stable branches. */
const LARGE = {
  config: {
    main: {
      "zuul.d/pipelines.yaml": `
- pipeline:
    name: check
    manager: independent
    description: Newly pushed revisions.
    precedence: low
    trigger:
      local:
        - event: change-created
        - event: comment
          comment: (?i)^(Patch Set [0-9]+:)?( [\\w\\\\+-]*)*(\\n\\n)?\\s*recheck
    require:
      local:
        open: true
        current-revision: true
    success:
      local: {vote: 1}
    failure:
      local: {vote: -1}
    no-jobs:
      local: {comment: true}
    no-jobs-message: There is nothing to run here.
- pipeline:
    name: gate
    manager: dependent
    precedence: high
    post-review: true
    supercedes: check
    window: 20
    window-floor: 20
    window-increase-factor: 2
    window-decrease-type: linear
    trigger:
      local:
        - event: approved
    require:
      local: {open: true, current-revision: true, approved: true}
    start:
      local: {comment: true, vote: 0}
    success:
      local: {vote: 1, merge: yes}
    failure:
      local: {vote: -1}
    failure-message: Build failed. See {pipeline}.
    footer-message: For help, see the handbook.
- pipeline:
    name: post
    manager: independent
    post-review: true
    trigger:
      local:
        - event: ref-updated
          ref: ^refs/heads/.*$
- pipeline:
    name: release
    manager: independent
    post-review: true
    trigger:
      local:
        - event: ref-updated
          ref: ^refs/tags/[0-9]+(\\.[0-9]+)*$
          ignore-deletes: false
`,
      "zuul.d/jobs.yaml": `
- job:
    name: base
    parent: null
    abstract: true
    description: The base job.
    pre-run: playbooks/base/pre
    post-run:
      - playbooks/base/post-logs
      - playbooks/base/post
    timeout: 1800
    nodeset: one-node
    vars:
      site: {mirror: mirror.example.org, port: 80}
- nodeset:
    name: one-node
    nodes:
      - name: primary
        label: debian-13
- nodeset:
    name: two-nodes
    nodes:
      - {name: primary, label: debian-13}
      - {name: secondary, label: debian-13}
    groups:
      - name: all-of-them
        nodes: [primary, secondary]
`,
      "zuul.d/projects.yaml": `
- project:
    check: {jobs: [noop]}
    gate: {jobs: [noop]}
- project:
    name: ^openstack/.*
    templates: [publish]
- project:
    name: openstack/nova
    queue: integrated
    merge-mode: squash-merge
- project:
    name: openstack/neutron
    queue: integrated
- queue:
    name: integrated
    per-branch: true
- project-template:
    name: publish
    post:
      jobs:
        - publish-docs:
            vars: {target: docs}
`,
    },
  },
  "openstack/jobs": {
    main: {
      ".zuul.yaml": `
- job:
    name: tox
    description: Runs tox.
    run: playbooks/tox/run
    pre-run: [playbooks/tox/pre]
    post-run: playbooks/tox/post
    timeout: 3600
    vars:
      tox: {envlist: null, flags: [-v]}
      site: {port: 8080}
    irrelevant-files:
      - ^.*\\.rst$
      - ^doc/.*$
- job:
    name: tox-py313
    parent: tox
    vars: {tox: {envlist: py313}}
- job:
    name: tox-pep8
    parent: tox
    voting: false
    vars: {tox: {envlist: pep8}}
- job:
    name: publish-docs
    post-review: true
    command: [make, publish]
    network: true
- job:
    name: integration
    nodeset: two-nodes
    run: playbooks/integration
    required-projects:
      - openstack/nova
      - name: openstack/neutron
        override-checkout: stable/1
    tags: [slow]
- project-template:
    name: python-jobs
    description: Jobs of every project in Python.
    vars: {language: python}
    check:
      jobs:
        - tox-pep8
        - tox-py313
    gate:
      fail-fast: true
      jobs:
        - tox-pep8
        - tox-py313
`,
    },
  },
  "openstack/nova": {
    main: {
      ".zuul.yaml": `
- job:
    name: nova-integration
    parent: integration
    tags: nova
    attempts: 1
    required-projects: openstack/neutron
- job:
    name: nova-integration
    timeout: 7200
- project:
    templates:
      - python-jobs
    check:
      jobs:
        - nova-integration:
            dependencies:
              - tox-py313
              - name: tox-pep8
                soft: true
            voting: false
    gate:
      jobs:
        - nova-integration:
            dependencies: tox-py313
`,
    },
    "stable/1": {
      ".zuul.yaml": `
- job:
    name: nova-integration
    parent: integration
    timeout: 100
- project:
    check:
      jobs: [nova-integration]
`,
    },
  },
  "openstack/neutron": {
    main: {
      "zuul.d/project.yaml": "- project:\n    templates: [python-jobs]\n",
      "zuul.d/more/jobs.yaml": "- job: {name: neutron-extra, command: [./test]}\n",
    },
  },
};

const TENANT = `
- tenant:
    name: openstack
    source:
      local:
        config-projects:
          - config
        untrusted-projects:
          - openstack/jobs
          - projects: [openstack/nova, openstack/neutron]
            exclude: secret
`;

describe("a large configuration", () => {
  test("loads without a problem, and gives the core its rules", async () => {
    const { layout, told } = await load(LARGE, tenantOf(TENANT));
    expect(told).toEqual([]);
    const core = layout.toCoreLayout();
    expect(core.pipelines.map(({ name, manager, precedence }) => [name, manager, precedence])).toEqual([
      ["check", "independent", "low"],
      ["gate", "dependent", "high"],
      ["post", "independent", "normal"],
      ["release", "independent", "normal"],
    ]);
    const gate = core.pipelines[1]!;
    expect(gate.window).toEqual({
      size: 20,
      floor: 20,
      ceiling: null,
      increase: { type: "linear", factor: 2 },
      decrease: { type: "linear", factor: 2 },
    });
    expect(gate.require).toEqual({ open: true, currentRevision: true, approved: true });
    expect(gate.supercedes).toEqual(["check"]);
    expect([...gate.queues]).toEqual([
      ["openstack/nova", { name: "integrated", perBranch: true }],
      ["openstack/neutron", { name: "integrated", perBranch: true }],
    ]);
    expect([...core.projects]).toEqual(["config", "openstack/jobs", "openstack/nova", "openstack/neutron"]);
    expect(layout.mergeModeOf("openstack/nova")).toBe("squash-merge");
    expect(layout.mergeModeOf("openstack/neutron")).toBe("merge");
    expect(layout.defaultBranchOf("openstack/nova")).toBe("main");
  });

  test("freezes jobs of templates, projects and their variants with all that running them needs", async () => {
    const { layout } = await load(LARGE, tenantOf(TENANT));
    const result = layout.freeze("check", change("openstack/nova", "main", ["nova/x.py"]));
    if (result.kind !== "graph") throw new Error(JSON.stringify(result));
    expect(result.graph).toEqual({
      failFast: false,
      jobs: [
        expect.objectContaining({ name: "tox-pep8", voting: false, labels: ["debian-13"], attempts: 3 }),
        expect.objectContaining({ name: "tox-py313", voting: true, dependencies: [] }),
        expect.objectContaining({
          name: "nova-integration",
          voting: false,
          attempts: 1,
          labels: ["debian-13", "debian-13"],
          dependencies: [
            { name: "tox-py313", soft: false },
            { name: "tox-pep8", soft: true },
          ],
        }),
      ],
    });
    const tox = result.jobs.get("tox-py313")!;
    expect(tox.vars).toEqual({
      language: "python",
      site: { mirror: "mirror.example.org", port: 8080 },
      tox: { envlist: "py313", flags: ["-v"] },
    });
    const step = (job: string, path: string) => ({
      project: job === "base" ? "config" : "openstack/jobs",
      branch: "main",
      trusted: job === "base",
      job,
      level: job === "base" ? 0 : 1,
      path,
    });
    expect(tox.preRun).toEqual([step("base", "playbooks/base/pre"), step("tox", "playbooks/tox/pre")]);
    expect(tox.run).toEqual([step("tox", "playbooks/tox/run")]);
    expect(tox.postRun).toEqual([
      step("tox", "playbooks/tox/post"),
      step("base", "playbooks/base/post-logs"),
      step("base", "playbooks/base/post"),
    ]);
    expect(tox.timeoutSec).toBe(3600);
    const integration = result.jobs.get("nova-integration")!;
    expect(integration.timeoutSec).toBe(7200);
    expect(integration.tags).toEqual(["nova", "slow"]);
    expect(integration.requiredProjects).toEqual([
      { name: "openstack/nova", overrideCheckout: null },
      { name: "openstack/neutron", overrideCheckout: null },
    ]);
    expect(integration.nodes).toHaveLength(2);
    expect(integration.inheritance.map(({ job, file, line }) => `${job} ${file}:${line}`)).toEqual([
      "base zuul.d/jobs.yaml:2",
      "integration .zuul.yaml:29",
      "nova-integration .zuul.yaml:2",
      "nova-integration .zuul.yaml:8",
      "nova-integration .zuul.yaml:16",
    ]);
    expect(JSON.parse(JSON.stringify(integration))).toEqual(integration);
    const gate = layout.freeze("gate", change("openstack/nova", "main", ["nova/x.py"]));
    expect(gate.kind === "graph" && gate.graph.failFast).toBe(true);
  });

  test("each branch of an untrusted project configures itself", async () => {
    const { layout } = await load(LARGE, tenantOf(TENANT));
    const result = layout.freeze("check", change("openstack/nova", "stable/1"));
    if (result.kind !== "graph") throw new Error(JSON.stringify(result));
    expect(result.graph.jobs.map(({ name }) => name)).toEqual(["nova-integration"]);
    const job = result.jobs.get("nova-integration")!;
    expect(job.timeoutSec).toBe(100);
    expect(job.inheritance.at(-1)).toMatchObject({ branch: "stable/1" });
  });

  test("jobs after the merge have no files to look at", async () => {
    const { layout } = await load(LARGE, tenantOf(TENANT));
    const subject = { project: "openstack/neutron", branch: "main", ref: "refs/heads/main", files: null };
    const result = layout.freeze("post", subject);
    if (result.kind !== "graph") throw new Error(JSON.stringify(result));
    const job = result.jobs.get("publish-docs")!;
    expect(job).toMatchObject({ network: true, postReview: true, vars: { target: "docs" } });
    expect(job.run).toEqual([expect.objectContaining({ argv: ["make", "publish"] })]);
  });

  test("a project without jobs in a pipeline, and one of nothing but noop", async () => {
    const { layout } = await load(LARGE, tenantOf(TENANT));
    const none = layout.freeze("check", change("openstack/jobs"));
    expect(none.kind === "graph" && none.graph.jobs).toEqual([]);
    const noop = layout.freeze("gate", change("config"));
    expect(noop.kind === "graph" && noop.graph.jobs).toEqual([
      expect.objectContaining({ name: "noop", isNoop: true, labels: [] }),
    ]);
  });

  test("events start the pipelines whose triggers they match", async () => {
    const { layout } = await load(LARGE, tenantOf(TENANT));
    const at = { project: "openstack/nova", branch: "main" };
    const ref = (name: string, newCommit: string | null = "a".repeat(40)) =>
      ({ kind: "ref-updated", project: "openstack/nova", ref: name, newCommit }) as const;
    expect(layout.triggersMatching({ kind: "change-created", ...at })).toEqual(["check"]);
    expect(layout.triggersMatching({ kind: "approved", ...at })).toEqual(["gate"]);
    expect(layout.triggersMatching({ kind: "comment", ...at, text: "recheck" })).toEqual(["check"]);
    expect(layout.triggersMatching({ kind: "comment", ...at, text: "RECHECK please" })).toEqual(["check"]);
    expect(layout.triggersMatching({ kind: "comment", ...at, text: "nice" })).toEqual([]);
    expect(layout.triggersMatching(ref("refs/heads/main"))).toEqual(["post"]);
    expect(layout.triggersMatching(ref("refs/heads/main", null))).toEqual([]);
    expect(layout.triggersMatching(ref("refs/tags/1.2.3"))).toEqual(["release"]);
    expect(layout.triggersMatching(ref("refs/tags/1.2.3", null))).toEqual(["release"]);
    expect(layout.triggersMatching(ref("refs/tags/v1"))).toEqual([]);
    expect(layout.triggersMatching({ kind: "approved", project: "elsewhere", branch: "main" })).toEqual([]);
  });

  test("what is told, and how: a conflict is a failure where nothing else is said", async () => {
    const { layout } = await load(LARGE, tenantOf(TENANT));
    const local = { driver: "local", comment: true };
    expect(layout.reportersOf("gate", "success")).toEqual({
      actions: [{ ...local, vote: 1, merge: true }],
      message: "Build succeeded.",
      footer: "For help, see the handbook.",
    });
    expect(layout.reportersOf("gate", "failure").message).toBe("Build failed. See gate.");
    expect(layout.reportersOf("gate", "start").message).toBe("Starting gate jobs.");
    expect(layout.reportersOf("gate", "merge-conflict").actions).toEqual([
      { ...local, vote: -1, merge: false },
    ]);
    expect(layout.reportersOf("gate", "config-error").actions).toEqual([
      { ...local, vote: -1, merge: false },
    ]);
    expect(layout.reportersOf("gate", "dequeue").actions).toEqual([]);
    expect(layout.reportersOf("check", "no-jobs").message).toBe("There is nothing to run here.");
    expect(layout.reportersOf("nowhere", "success").actions).toEqual([]);
  });
});

test("the starter's configuration loads without a problem, and gates its own repository and another", async () => {
  const { layout, told } = await load(
    {
      "gate-config": { main: Object.fromEntries(STARTER_CONFIG_FILES.map(({ path, text }) => [path, text])) },
      hello: { main: { "zuul.yaml": starterProjectFile("hello-test", ["./test.sh", 'a "word"']) } },
    },
    tenantOf(starterTenantFile("main", "gate-config", ["hello"])),
  );
  expect(told).toEqual([]);
  expect(layout.pipelines.map(({ name }) => name)).toEqual(["check", "gate", "post"]);
  for (const pipeline of ["check", "gate"]) {
    const result = layout.freeze(pipeline, change("hello"));
    if (result.kind !== "graph") throw new Error(JSON.stringify(result));
    expect(result.jobs.get("hello-test")!.run).toEqual([
      expect.objectContaining({ argv: ["./test.sh", 'a "word"'], project: "hello" }),
    ]);
  }
  const at = { project: "hello", branch: "main" };
  expect(layout.triggersMatching({ kind: "comment", ...at, text: " recheck\n" })).toEqual(["check"]);
  expect(layout.triggersMatching({ kind: "comment", ...at, text: "please recheck" })).toEqual([]);
  expect(layout.triggersMatching({ kind: "comment", ...at, text: "regate" })).toEqual(["gate"]);
  expect(tenantOf(starterTenantFile("main", "gate-config", [])).projects.size).toBe(1);
});

test("a job without nodes takes a slot of the executor", async () => {
  const { layout } = await load({
    config: { main: { "zuul.yaml": BASE } },
    app: { main: { "zuul.yaml": "- job: {name: t, run: t.sh}\n- project: {check: {jobs: [t]}}\n" } },
  });
  const result = layout.freeze("check", change("app"));
  expect(result.kind === "graph" && result.graph.jobs[0]!.labels).toEqual(["local"]);
});
