import { expect, test } from "vitest";
import { ConfigLoader, parseTenants } from "../../src/index.ts";
import { BASE, change, filesOf, memorySource, tenantOf } from "./memory-source.ts";

const tenantWith = (project: string) => `
- tenant:
    name: main
    source:
      local:
        config-projects: [config]
        untrusted-projects: [{app: ${project}}]
`;

const jobs = (name: string) => `
- job: {name: ${name}, command: [${name}]}
- project: {check: {jobs: [${name}]}}
`;

async function loaded(project: string) {
  const source = memorySource({
    config: { main: { "zuul.yaml": BASE } },
    app: { main: { "zuul.yaml": jobs("unit") }, "feature/x": { "zuul.yaml": jobs("new") } },
  });
  const loader = new ConfigLoader(tenantOf(tenantWith(project)), source);
  return { loader, ...(await loader.load()) };
}

const names = (layout: Awaited<ReturnType<typeof loaded>>["layout"], branch: string): string[] => {
  const result = layout.freeze("check", change("app", branch));
  if (result.kind !== "graph") throw new Error(JSON.stringify(result));
  return [...result.jobs.keys()];
};

test("a branch that is always dynamic configures its changes, and nobody else", async () => {
  const { loader, layout, problems } = await loaded("{always-dynamic-branches: [^feature/]}");
  expect(problems).toEqual([]);
  expect(layout.parts.jobs.has("new")).toBe(false);
  // Of one loaded branch, what it says is for any.
  expect(names(layout, "main")).toEqual(["unit"]);
  const event = { kind: "change-created", project: "app" } as const;
  expect(layout.triggersMatching({ ...event, branch: "feature/x" })).toEqual(["check"]);

  const files = filesOf({ "zuul.yaml": jobs("newer") });
  const proposed = loader.propose([{ project: "app", branch: "feature/x", files }]);
  expect(proposed.problems).toEqual([]);
  expect(names(proposed.layout, "feature/x")).toEqual(["newer"]);
  expect(names(proposed.layout, "main")).toEqual(["unit"]);
  expect(loader.current!.layout.parts.jobs.has("newer")).toBe(false);
});

test("a branch that is included besides is loaded, and one that is excluded only is not the tenant's", async () => {
  const both = await loaded("{include-branches: [main, feature/x], always-dynamic-branches: [^feature/]}");
  expect(names(both.layout, "feature/x")).toEqual(["new"]);
  const none = await loaded("{exclude-branches: [^feature/]}");
  const event = { kind: "change-created", project: "app", branch: "feature/x" } as const;
  expect(none.layout.triggersMatching(event)).toEqual([]);
  const files = filesOf({ "zuul.yaml": jobs("newer") });
  expect(none.loader.propose([{ project: "app", branch: "feature/x", files }])).toBe(none.loader.current);
});

test("a config-project has no such branches", () => {
  const text =
    "- tenant:\n    name: m\n    source:\n      local:\n        config-projects:\n          - config: {always-dynamic-branches: [x]}\n";
  expect(parseTenants(text).problems).toEqual([
    { line: 6, message: "always-dynamic-branches: a config-project is loaded from one branch only" },
  ]);
});
