import { beforeAll, describe, expect, test } from "vitest";
import { ConfigLoader, type FreezeSubject, type FrozenJobDefinition, type Layout } from "../../src/index.ts";
import { memorySource, type Repositories, tenantOf } from "./memory-source.ts";
import { PROJECT_CONFIG, TENANT } from "./zuul-tenant/config-project.ts";
import { INTEGRATION, ZUUL_JOBS } from "./zuul-tenant/libraries.ts";
import { SERVICES, serviceFiles } from "./zuul-tenant/services.ts";

/*
 * A tenant as Zuul's users have them: 20 repositories, 300 jobs, variants by branch, templates. What is expected was worked out by
 * hand, by Zuul's documentation, and not by this gate.
 */

const REPOSITORIES: Repositories = {
  "project-config": { main: { ...PROJECT_CONFIG } },
  "zuul-jobs": { main: { ...ZUUL_JOBS } },
  integration: { main: { ...INTEGRATION } },
  ...Object.fromEntries(
    Object.entries(serviceFiles()).map(([name, branches]) => [
      name,
      Object.fromEntries(Object.entries(branches).map(([branch, text]) => [branch, { ".zuul.yaml": text }])),
    ]),
  ),
};

let layout: Layout;

beforeAll(async () => {
  const loaded = await new ConfigLoader(tenantOf(TENANT(SERVICES)), memorySource(REPOSITORIES)).load();
  expect(loaded.problems).toEqual([]);
  layout = loaded.layout;
});

const at = (project: string, branch: string, ...files: string[]): FreezeSubject => ({
  project,
  branch,
  files: files.length === 0 ? null : files,
});

function frozen(pipeline: string, subject: FreezeSubject): ReadonlyMap<string, FrozenJobDefinition> {
  const result = layout.freeze(pipeline, subject);
  if (result.kind === "problems") throw new Error(JSON.stringify(result.problems));
  return result.jobs;
}

test("it has 20 repositories and 300 jobs", () => {
  expect(layout.parts.projects.size).toBe(20);
  expect(layout.parts.jobs.size).toBeGreaterThan(300);
  // Of one branch only one variant, of several as many as there are.
  expect(layout.parts.jobs.get("identity-functional")).toHaveLength(2);
});

test("projects share the queue that a template names", () => {
  for (const name of ["integration", ...SERVICES])
    expect([name, layout.queueOf(name)]).toEqual([name, "integrated"]);
  expect(layout.queueOf("project-config")).toBeNull();
});

describe("the jobs that run", () => {
  const FUNCTIONAL = ["functional", "functional-multinode"];
  const CASES: readonly [string, string, FreezeSubject, readonly string[]][] = [
    [
      "of code: not those for other files",
      "check",
      at("identity", "main", "identity/api.py"),
      [
        ...["noop", "propose-updates", "tox-linters", "tox-py311", "tox-py312", ...FUNCTIONAL],
        ...["identity-functional", "identity-functional-ldap", "identity-upgrade"],
      ],
    ],
    [
      "of documentation only: none to which it is irrelevant by an ancestor",
      "check",
      at("identity", "main", "docs/index.rst"),
      ["noop", "propose-updates", "tox-linters", "tox-py311", "tox-py312", "tox-docs"],
    ],
    [
      "of documentation and code: both",
      "check",
      at("identity", "main", "docs/index.rst", "setup.cfg"),
      [
        ...["noop", "propose-updates", "tox-linters", "tox-py311", "tox-py312", "tox-docs", ...FUNCTIONAL],
        ...["identity-functional", "identity-functional-ldap", "identity-upgrade", "identity-migrations"],
      ],
    ],
    [
      "of another branch: what that branch says of itself",
      "check",
      at("identity", "stable/2024", "identity/api.py"),
      ["noop", "tox-linters", "tox-py311", "tox-py38", "identity-functional"],
    ],
    [
      "in the gate",
      "gate",
      at("identity", "main", "identity/db/7.py"),
      ["noop", "tox-linters", "tox-py311", "functional", "identity-functional", "identity-migrations"],
    ],
    ["after the merge", "post", at("identity", "main"), ["identity-publish"]],
    [
      "where the project's own variant has file matchers",
      "check",
      at("compute", "main", "compute/kvm/a.go"),
      ["noop", "go-lint", "go-test", ...FUNCTIONAL, "compute-driver-kvm"],
    ],
    [
      "and where these match",
      "check",
      at("compute", "main", "compute/xen/a.go"),
      ["noop", "go-lint", "go-test", ...FUNCTIONAL, "compute-driver-kvm", "compute-driver-xen"],
    ],
    [
      "of one of the many services",
      "check",
      at("network", "main", "net/a.py"),
      [
        ...[
          "noop",
          "network-unit",
          "network-lint",
          "network-functional-mysql",
          "network-functional-postgres",
        ],
        ...["network-upgrade", "network-api-experimental", "network-image-build", ...FUNCTIONAL],
      ],
    ],
    [
      "of its documentation",
      "check",
      at("network", "main", "docs/a.rst"),
      ["noop", "network-unit", "network-docs", "network-image-build"],
    ],
    ["of its branch", "post", at("network", "main"), ["network-image-push", "network-image-promote"]],
    [
      "of the configuration",
      "check",
      at("project-config", "main", "zuul.d/jobs.yaml"),
      ["noop", "yaml-lint"],
    ],
    ["of a file that is none", "check", at("project-config", "main", "README"), ["noop"]],
  ];

  test.each(CASES)("%s", (_what, pipeline, subject, jobs) => {
    expect([...frozen(pipeline, subject).keys()].sort()).toEqual([...jobs].sort());
  });
});

describe("how they run", () => {
  const steps = (list: FrozenJobDefinition["run"]): string[] =>
    list.map((step) => `${step.project} ${"path" in step ? step.path : ""}`);
  const mirror = { host: "mirror.example.org", port: 8080 };
  const services = { identity: true, compute: true, image: true };

  test("with all that five ancestors of three projects say", () => {
    const job = frozen("check", at("network", "main", "net/a.py")).get("network-functional-mysql")!;
    expect(job).toMatchObject({
      ...{ voting: true, attempts: 3, timeoutSec: 7200, tags: ["smoke"], nodeset: "ubuntu-jammy" },
      nodes: [{ names: ["ubuntu-jammy"], label: "ubuntu-jammy" }],
    });
    expect(job.vars).toEqual({
      ...{ organization: "cloud", mirror, log_level: "info", cloud: { services, debug: false } },
      database: { engine: "mysql" },
    });
    expect(job.requiredProjects.map(({ name }) => name)).toEqual([
      ...["integration", "identity", "compute", "image", "network"],
    ]);
    expect(steps(job.preRun)).toEqual([
      "project-config playbooks/base/pre.yaml",
      "integration playbooks/cloud/pre.yaml",
    ]);
    expect(steps(job.run)).toEqual(["integration playbooks/functional/run.yaml"]);
    expect(steps(job.postRun)).toEqual([
      "integration playbooks/cloud/post.yaml",
      "project-config playbooks/base/post.yaml",
      "project-config playbooks/base/post-logs.yaml",
    ]);
    expect(job.inheritance.map((one) => one.job)).toEqual([
      ...["base", "cloud-base", "functional-base", "functional", "network-functional"],
      ...["network-functional-mysql", "network-functional-mysql"],
    ]);
  });

  test("with nodes and groups in place of a nodeset, and a vote taken by the project", () => {
    const job = frozen("check", at("identity", "main", "a")).get("identity-functional-ldap")!;
    expect(job).toMatchObject({ voting: false, timeoutSec: 5400, nodeset: null });
    expect(job.nodes).toEqual([
      { names: ["controller"], label: "ubuntu-jammy" },
      { names: ["ldap1", "ldap2"], label: "debian-bookworm" },
    ]);
    expect(job.groups).toEqual([{ name: "directory", nodes: ["ldap1", "ldap2"] }]);
    expect(job.vars).toEqual({
      ...{ organization: "cloud", service: "identity", mirror, log_level: "info", backend: "ldap" },
      cloud: { services: { ...services, gateway: true }, debug: false },
    });
    expect(job.requiredProjects.map(({ name }) => name)).toContain("gateway");
  });

  test("on another branch by the variant that stands there alone", () => {
    const job = frozen("check", at("identity", "stable/2024", "a")).get("identity-functional")!;
    expect(job).toMatchObject({ timeoutSec: 3600, vars: { backend: "legacy" } });
    expect(job.requiredProjects.map(({ name }) => name)).toEqual([
      "integration",
      "identity",
      "compute",
      "image",
    ]);
  });

  test("with variables of the project beneath those of the job, merged at every depth", () => {
    const { "tox-linters": linters } = Object.fromEntries(frozen("check", at("identity", "main", "a")));
    expect(linters).toMatchObject({ timeoutSec: 600, attempts: 1 });
    expect(linters!.vars).toEqual({
      ...{ organization: "cloud", service: "identity", log_level: "debug", tox_envlist: "linters" },
      mirror: { ...mirror, port: 8443 },
    });
    const { functional } = Object.fromEntries(frozen("check", at("compute", "main", "a")));
    expect(functional!.vars).toEqual({
      ...{ organization: "cloud", mirror, log_level: "info", cloud: { services, debug: true } },
    });
    const multinode = frozen("check", at("compute", "main", "a")).get("functional-multinode")!;
    expect(multinode).toMatchObject({ voting: false, timeoutSec: 10_800, tags: ["multinode", "smoke"] });
    expect(multinode.vars).toMatchObject({
      cloud: { services: { ...services, compute: false }, debug: false },
    });
    expect(multinode.groups.map(({ name }) => name)).toEqual(["switch", "peers"]);
  });

  test("after what they depend on, failing fast where a template says so", () => {
    const result = layout.freeze("gate", at("identity", "main", "a"));
    expect(result).toMatchObject({ kind: "graph", graph: { failFast: true } });
    expect(frozen("gate", at("identity", "main", "a")).get("identity-functional")!.dependencies).toEqual([
      { name: "tox-linters", soft: false },
      { name: "tox-docs", soft: true },
    ]);
    expect(frozen("post", at("network", "main")).get("network-image-promote")!.dependencies).toEqual([
      { name: "network-image-push", soft: false },
    ]);
  });
});

describe("what may not run is told", () => {
  test.each([
    ["post", "compute", "job propose-updates is final"],
    ["release", "compute", "job publish-signed is protected by project-config"],
    ["release", "identity", "job cloud-base is intermediate"],
    [
      "release",
      "integration",
      "project integration is not among the allowed-projects of job propose-updates",
    ],
  ])("in %s of %s: %s", (pipeline, project, message) => {
    const result = layout.freeze(pipeline, at(project, "main"));
    expect(result).toEqual({
      kind: "problems",
      problems: [expect.objectContaining({ project, message: expect.stringContaining(message) })],
    });
  });

  test("publishing before the review", () => {
    const text = "- project: {name: dns, check: {jobs: [dns-image-push]}}\n";
    const files = [{ path: ".zuul.yaml", text: `${REPOSITORIES.dns!.main![".zuul.yaml"]}${text}` }];
    const loader = new ConfigLoader(tenantOf(TENANT(SERVICES)), memorySource(REPOSITORIES));
    return loader.load().then(() => {
      const proposed = loader.propose([{ project: "dns", branch: "main", files }]);
      expect(proposed.problems).toEqual([]);
      expect(proposed.layout.freeze("check", at("dns", "main"))).toMatchObject({
        problems: [{ message: "job dns-image-push is post-review, and pipeline check is not" }],
      });
    });
  });
});
