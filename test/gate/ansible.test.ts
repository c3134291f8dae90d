import type { BuildView, ChangeView } from "@drover/gate/api";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Clone } from "../../packages/gate/test/forge/stage.ts";
import { describeWith } from "../peers/needs.ts";
import { until } from "../peers/until.ts";
import { numberIn, proposeChange, RunningGate } from "./running-gate.ts";

/* Jobs as Zuul's repositories have them: playbooks, roles and variables, through a gate that runs. */

const DEADLINE_MS = 80_000;

const CONFIG_JOBS = `
- job:
    name: site
    parent: base
    abstract: true
    pre-run: playbooks/pre.yaml
    post-run: playbooks/post.yaml
    roles:
      - zuul: org/roles
    nodeset:
      nodes:
        - {name: controller, label: debian}
    vars: {greeting: hello}

- job:
    name: versions
    parent: base
    run: playbooks/versions.yaml
    include-vars:
      - org.yaml
      - {name: more.yaml, zuul-project: true, required: false}
      - {name: versions.yaml, zuul-project: true}
    vars: {chosen: job}
    nodeset: {alternatives: [{nodes: [{name: one, label: x}]}, {nodes: [{name: two, label: x}]}]}
    workspace-checkout: false
`;

const say = (text: string) => `    - debug: {msg: "${text}"}\n`;
const play = (tasks: string, hosts = "all") => `- hosts: ${hosts}\n  gather_facts: false\n  tasks:\n${tasks}`;
const role = (name: string) => `    - include_role: {name: ${name}}\n`;
const roleTask = (text: string) => `- debug: {msg: "${text}"}\n`;

const CONFIG_FILES = {
  "zuul.d/site.yaml": CONFIG_JOBS,
  "playbooks/pre.yaml": play(
    say("pre by {{ inventory_hostname }}, trusted {{ zuul_execution_trusted }}") +
      role("own") +
      role("greet"),
  ),
  "playbooks/post.yaml": play(say("post {{ zuul_success | bool }} {{ zuul_will_retry | bool }}")),
  "roles/own/tasks/main.yaml": roleTask("a role of the config-project"),
  "org.yaml": 'node: 20\nchosen: org\nmade: "{{ node }}+{{ 1 + 1 }}"\n',
  "playbooks/versions.yaml": play(
    say(
      "{{ node }}, {{ chosen }}, {{ made }}, {{ wish | default('nothing') }}, by {{ inventory_hostname }}",
    ) +
      '    - shell: "ls -A {{ zuul.project.src_dir }}; git -C {{ zuul.project.src_dir }} show HEAD:README"\n',
  ),
};

const ROLES_FILES = {
  "roles/greet/tasks/main.yaml": roleTask("{{ greeting }} by a role, of {{ zuul.project.name }}"),
};

const APP_CONFIG = `
- job:
    name: unit
    parent: site
    run: playbooks/run.yaml
    roles:
      - zuul: org/single
    vars: {greeting: good evening}

- job:
    name: never-ready
    parent: site
    reuse: false
    attempts: 2
    pre-run: playbooks/fail.yaml
    run: playbooks/run.yaml

- job:
    name: away
    parent: site
    reuse: false
    run: playbooks/unreachable.yaml
    attempts: 2

- job:
    name: asks
    parent: site
    run: playbooks/return.yaml

- job:
    name: asked
    parent: site
    run: playbooks/asked.yaml
    dependencies: asks

- job:
    name: left-out
    parent: site
    run: playbooks/run.yaml
    dependencies: asks

- project:
    check:
      jobs:
        - unit: {files: [^unit]}
        - never-ready: {files: [^never-ready]}
        - away: {files: [^away]}
        - asks: {files: [^asks]}
        - asked: {files: [^asks]}
        - left-out: {files: [^asks]}
        - versions: {files: [^versions]}
`;

const APP_FILES = {
  "zuul.yaml": APP_CONFIG,
  "playbooks/run.yaml": play(
    role("greet") +
      role("single") +
      role("of_app") +
      `    - command: cat README\n      args: {chdir: "{{ zuul.project.src_dir }}"}\n`,
  ),
  "playbooks/fail.yaml": play("    - fail: {msg: not ready}\n"),
  "playbooks/unreachable.yaml": `- hosts: all
  gather_facts: false
  tasks:
    - add_host: {name: away, ansible_connection: ssh, ansible_host: 127.0.0.1, ansible_port: 1}
- hosts: away
  gather_facts: false
  tasks:
    - ping:
`,
  "playbooks/return.yaml": play(
    `    - zuul_return:
        data:
          answer: "{{ 40 + 2 }}"
          template: !unsafe "{{ 1 + 1 }}"
          zuul:
            child_jobs: [asked]
            warnings: [look at this]
            file_comments: {README: [{line: 1, message: too short}]}
    - zuul_return: {data: {zuul: {warnings: [and at that]}}}
`,
  ),
  "playbooks/asked.yaml": play(say("{{ answer }} {{ template }}")),
  "roles/of_app/tasks/main.yaml": roleTask("a role of the change"),
  "versions.yaml": "node: 22\n",
  README: "read me\n",
};

let running: RunningGate;
let app: Clone;

async function add(project: string, files: Readonly<Record<string, string>>): Promise<Clone> {
  const clone = await running.repository(project, "alice", files);
  await running.post("/projects", "root", { name: project, importFrom: clone.folder });
  return clone;
}

const propose = (clone: Clone, files: Readonly<Record<string, string>>) =>
  proposeChange(clone, `Change ${Object.keys(files).join()}`, files);

/** The change once `check` has voted, its builds, the oldest first, and their logs. */
async function checked(number: number) {
  const change = await until(`check has voted on ${number}`, DEADLINE_MS, async () => {
    const seen = await running.get<ChangeView>(`/changes/${number}`);
    return seen.comments.some(({ author, vote }) => author === "gate" && (vote ?? 0) !== 0)
      ? seen
      : undefined;
  });
  const builds = (await running.get<BuildView[]>(`/builds?change=${number}`)).toReversed();
  const logs = await Promise.all(builds.map(({ id }) => running.get<string>(`/builds/${id}/log`)));
  return { change, builds, logs };
}

describeWith(["ansible", "bubblewrap"], "jobs of playbooks", () => {
  beforeAll(async () => {
    running = await RunningGate.start();
    await add("org/roles", ROLES_FILES);
    await add("org/single", { "tasks/main.yaml": roleTask("a repository that is one role") });
    await running.pushDirectly("config", CONFIG_FILES);
    app = await add("app", APP_FILES);
    expect(running.gate.configProblems).toEqual([]);
  });
  afterAll(() => running?.end());

  test("run with the roles of their level, on the change, which may bring roles along", async () => {
    const number = await propose(app, {
      unit: "x",
      README: "read this\n",
      "roles/of_app/tasks/main.yaml": roleTask("a role, changed"),
    });
    const { builds, logs } = await checked(number);
    expect(builds.map(({ job, result }) => [job, result])).toEqual([["unit", "SUCCESS"]]);
    const [log] = logs;
    for (const text of [
      "pre by controller, trusted True",
      "a role of the config-project",
      "good evening by a role, of app",
      "a repository that is one role",
      "a role, changed",
      "read this",
      "post True False",
    ])
      expect(log).toContain(text);
  });

  test("a trusted playbook and its roles are what is merged, whatever a change proposes", async () => {
    const config = await running.clone("config", "alice");
    const number = await propose(config, {
      "roles/own/tasks/main.yaml": roleTask("a role that nobody has merged"),
      "zuul.d/own.yaml": "- project:\n    check:\n      jobs: [noop]\n",
    });
    const message = `Needs it\n\nDepends-On: gate:config/${number}\n`;
    const { logs } = await checked(await proposeChange(app, message, { unit: "y" }));
    expect(logs[0]).toContain("a role of the config-project");
    expect(logs[0]).not.toContain("nobody has merged");
  });

  test("read variables from files, the change's among them, whose templates are none to a trusted playbook", async () => {
    const number = await propose(app, { "versions.yaml": 'node: 24\nwish: "{{ 2 + 2 }}"\n' });
    const { builds, logs } = await checked(number);
    expect(builds.map(({ job, result }) => [job, result])).toEqual([["versions", "SUCCESS"]]);
    expect(logs[0]).toContain("24, job, 24+2, {{ 2 + 2 }}, by one");
    expect(logs[0]).toMatch(/^\.git\nread me$/m);
    const wrong = await checked(await propose(app, { "versions.yaml": "zuul: mine\n" }));
    const why =
      "include-vars: versions.yaml of app cannot be used: zuul: this name is taken by the gate itself";
    expect(wrong.builds).toMatchObject([{ result: "ERROR", detail: why }]);
    await app.ok("checkout", "--quiet", "--detach", "origin/main");
    await app.ok("rm", "--quiet", "versions.yaml");
    await app.commit("No versions", {});
    const gone = await checked(numberIn((await app.push("refs/for/main")).text));
    const detail = "include-vars: versions.yaml of app is not there";
    expect(gone.builds).toMatchObject([{ result: "ERROR", detail }]);
  });

  test("pre-run that fails is tried again, post-run runs each time, run never, and in the end it is RETRY_LIMIT", async () => {
    const { change, builds, logs } = await checked(await propose(app, { "never-ready": "x" }));
    expect(builds.map(({ result }) => result)).toEqual(["RETRY", "RETRY"]);
    expect(change.comments.at(-1)!.text).toContain("RETRY_LIMIT");
    expect(logs[0]).toContain("post False True");
    expect(logs[1]).toContain("post False False");
    for (const log of logs) expect(log).not.toContain("a role of the change");
  });

  test("a node that cannot be reached is tried again, in run too", async () => {
    const { change, builds, logs } = await checked(await propose(app, { away: "x" }));
    expect(builds.map(({ result, detail }) => [result, detail])).toEqual([
      ["RETRY", "run 1 could not reach away"],
      ["RETRY", "run 1 could not reach away"],
    ]);
    expect(change.comments.at(-1)!.text).toContain("RETRY_LIMIT");
    expect(logs[0]).toContain("post False True");
  });

  test("zuul_return hands data to the jobs after it, chooses among them, warns, and comments on lines", async () => {
    const { change, builds, logs } = await checked(await propose(app, { asks: "x" }));
    expect(builds.map(({ job, result }) => [job, result])).toEqual([
      ["asks", "SUCCESS"],
      ["asked", "SUCCESS"],
    ]);
    expect(logs[1]).toContain("42 {{ 1 + 1 }}");
    expect(change.comments.map(({ file, line, text }) => [file, line, text])).toContainEqual([
      "README",
      1,
      "asks: too short",
    ]);
    const { outcome } = running.gate.builds.get(Number(builds[0]!.id))!;
    expect(outcome?.data.warnings).toEqual(["look at this", "and at that"]);
  });
});
