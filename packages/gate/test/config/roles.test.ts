import { describe, expect, test } from "vitest";
import { BASE, change, load } from "./memory-source.ts";

const CONFIG = `${BASE}    pre-run: base.yaml
    roles:
      - zuul: org/common
`;

const APP = `
- job:
    name: parent
    pre-run: pre.yaml
    run: run.yaml
    roles:
      - zuul: org/more-roles
        name: more
    vars: {a: 1}
    host-vars: {node: {h: {x: 1}}}
    group-vars: {web: {g: 1}}
- job:
    name: child
    parent: parent
    pre-run: [tool, child.yml]
    host-vars: {node: {h: {y: 2}}, other: {o: 1}}
    roles: [{zuul: org/common}, {zuul: app}]
- project:
    check:
      jobs:
        - child:
            post-run: last.yaml
            group-vars: {web: {w: 2}}
`;

async function loaded(app: string) {
  return await load({
    config: { main: { "zuul.yaml": CONFIG } },
    app: { main: { "zuul.yaml": app } },
    "org/common": { main: {} },
    "org/more-roles": { main: {} },
  });
}

describe("playbooks", () => {
  test.each([
    ["org/ansible-role-nginx", "nginx"],
    ["ansible-nginx", "nginx"],
    ["role_nginx", "nginx"],
    ["nginx-role", "nginx-role"],
    ["ansible", "ansible"],
  ])("of %s call it %s, where it is one role", async (project, name) => {
    const app = "- job: {name: j, run: run.yaml}\n- project: {check: {jobs: [j]}}\n";
    const { layout } = await load({
      config: { main: { "zuul.yaml": BASE } },
      [project]: { main: { "zuul.yaml": app } },
    });
    const result = layout.freeze("check", change(project));
    const [step] = result.kind === "graph" ? result.jobs.get("j")!.run : [];
    expect(step?.roles?.[0]).toEqual({ project, name, implicit: true });
  });

  test("see the roles of their own definition and of those before it, each repository's own implied", async () => {
    const { layout, told } = await loaded(APP);
    expect(told).toEqual([]);
    const result = layout.freeze("check", change("app"));
    if (result.kind !== "graph") throw new Error(JSON.stringify(result));
    const job = result.jobs.get("child")!;
    const roles = (steps: typeof job.run) =>
      steps.map((step) => [
        "path" in step ? step.path : "",
        ...(step.roles ?? []).map(
          ({ project, name, implicit }) => `${project} as ${name}${implicit ? ", implied" : ""}`,
        ),
      ]);
    const base = ["config as config, implied", "org/common as common"];
    const parent = ["app as app, implied", "org/more-roles as more", ...base];
    expect(roles(job.preRun)).toEqual([
      ["base.yaml", ...base],
      ["pre.yaml", ...parent],
      ["tool"],
      ["child.yml", "app as app", "org/more-roles as more", ...base],
    ]);
    expect(roles(job.run)).toEqual([["run.yaml", ...parent]]);
    expect(roles(job.postRun)).toEqual([["last.yaml", "app as app", "org/more-roles as more", ...base]]);
    expect(job.hostVars).toEqual({ node: { h: { x: 1, y: 2 } }, other: { o: 1 } });
    expect(job.groupVars).toEqual({ web: { g: 1, w: 2 } });
  });

  test("have roles of projects that the tenant knows only", async () => {
    const { told } = await loaded("- job:\n    name: j\n    run: r.yaml\n    roles: [{zuul: org/comon}]\n");
    expect(told).toEqual([
      'app main zuul.yaml:4 job j has org/comon among its roles, which is no project here; did you mean "org/common"?',
    ]);
  });
});
