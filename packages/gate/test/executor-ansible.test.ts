import { existsSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { describeWith } from "../../../test/peers/needs.ts";
import type { BuildOutcome, BuildRequest, ReturnedData } from "../src/executor/build-request.ts";
import { seal, unseal } from "../src/secrets/sealing.ts";
import { Stage, script, TestRepository } from "./executor-stage.ts";

const stage = new Stage();

const final = (result: string) => ({ kind: "final", result });
const FIRST = { kind: "exited", code: 0 };

/** A project whose playbooks jobs run. */
let jobs: TestRepository;

beforeAll(async () => {
  jobs = await TestRepository.create(join(stage.folder, "state", "jobs.git"));
});

type Request = BuildRequest & { readonly repositories: BuildRequest["repositories"] };
type Playbook = Extract<BuildRequest["run"][number], { path: string }>;

/** A request with the project `org/jobs` besides, at a commit that holds these files. */
async function requestWith(files: Readonly<Record<string, string>>): Promise<{
  request: Request;
  playbook: (path: string, more?: Partial<Playbook>) => Playbook;
}> {
  const commit = await jobs.commit(files);
  const request = stage.request("true");
  return {
    request: {
      ...request,
      repositories: [
        ...request.repositories,
        { project: "org/jobs", repository: jobs.path, branches: { main: commit }, checkout: "main" },
      ],
    },
    playbook: (path, more = {}) => ({ project: "org/jobs", commit, path, ...more }),
  };
}

/** A playbook on localhost with these tasks. */
const play = (tasks: string, hosts = "localhost") =>
  `- hosts: ${hosts}\n  gather_facts: false\n  tasks:\n${tasks.replace(/^/gm, "    ")}\n`;

const show = (text: string) => `- debug: {msg: "${text}"}`;

/** Runs one playbook. */
async function run(text: string, more: Partial<BuildRequest> = {}, entry: Partial<Playbook> = {}) {
  const { request, playbook } = await requestWith({ "playbooks/run.yaml": text });
  return await stage.run({ ...request, run: [playbook("playbooks/run.yaml", entry)], ...more });
}

describeWith(["ansible"], "playbooks", () => {
  test("a playbook runs in the workspace, what its commands write is in the log, and it is a SUCCESS", async () => {
    const { outcome, log } = await run(
      play(
        [
          '- command: cat README.md\n  args: {chdir: "{{ zuul.executor.work_root }}/{{ zuul.project.src_dir }}"}',
          '- shell: "echo to $HOME; echo complains >&2"',
        ].join("\n"),
      ),
    );
    expect(log).toMatch(/\nnew\n/);
    expect(log).toMatch(/\nto \/build\/home\ncomplains\n/);
    expect(outcome).toMatchObject({ result: final("SUCCESS"), detail: null, steps: [{ end: FIRST }] });
  });

  test("a task that fails is a FAILURE, and post-run knows, in variables of its own", async () => {
    const { request, playbook } = await requestWith({
      "run.yml": play("- command: sh -c 'echo why; exit 3'"),
      "post.yaml": play(
        show(
          "post {{ zuul_success }} {{ zuul_will_retry }} {{ zuul_execution_phase }} {{ zuul_execution_trusted }}",
        ),
      ),
    });
    const { outcome, log } = await stage.run({
      ...request,
      run: [playbook("run.yml")],
      postRun: [playbook("post.yaml")],
    });
    expect(outcome).toMatchObject({ result: final("FAILURE"), detail: "run 1 exited with 2" });
    expect(log).toMatch(/FAILED! => .*\nwhy\n/);
    expect(log).toContain("post False False post False");
  });

  test("pre-run that fails is to be run again, run does not begin, and post-run of its level runs", async () => {
    const { request, playbook } = await requestWith({
      "pre.yaml": play("- fail: {msg: not ready}"),
      "run.yaml": play(show("not run")),
      "post.yaml": play(show("post {{ zuul_success }} {{ zuul_will_retry }}")),
      "post-child.yaml": play(show("not run either")),
    });
    const { outcome, log } = await stage.run({
      ...request,
      preRun: [playbook("pre.yaml", { level: 0 })],
      run: [playbook("run.yaml", { level: 1 })],
      postRun: [playbook("post-child.yaml", { level: 1 }), playbook("post.yaml", { level: 0 })],
    });
    expect(outcome.result).toEqual({ kind: "retry", again: true });
    expect(log).toContain("post False True");
    expect(log).not.toContain("not run");
  });

  test("executables, commands and playbooks stand beside each other, and share home and workspace", async () => {
    const { request, playbook } = await requestWith({
      "run.yaml": play('- shell: "cat ~/left; cat ~/src/org/app/made"'),
    });
    const { log } = await stage.run({
      ...request,
      preRun: [script("echo left behind > ~/left; echo made here > made")],
      run: [playbook("run.yaml")],
    });
    expect(log).toMatch(/left behind\nmade here/);
  });

  test("a node of the nodeset is this machine, where paths begin in the workspace; with no node, no play is for all", async () => {
    const nodes = {
      nodes: [{ name: "controller", label: "debian" }],
      groups: [{ name: "web", nodes: ["controller"] }],
    };
    const tasks = [
      show("{{ inventory_hostname }} {{ nodepool.label }} {{ of_host }} {{ of_group }}"),
      '- command: cat README.md\n  args: {chdir: "{{ zuul.project.src_dir }}"}',
      '- command: cat README.md\n  args: {chdir: "~/{{ zuul.project.src_dir }}"}',
    ].join("\n");
    const inventory = {
      ...nodes,
      hostVars: { controller: { of_host: "h" } },
      groupVars: { web: { of_group: "g", of_host: "less" } },
    };
    const { log, outcome } = await run(play(tasks, "all"), { inventory });
    expect(outcome.detail).toBe(null);
    expect(log).toContain("controller debian h g");
    expect(log.match(/^new$/gm)).toHaveLength(2);
    expect(outcome.data.warnings).toEqual([]);

    const without = await run(play(tasks, "all"));
    expect(without.outcome.result).toEqual(final("SUCCESS"));
    expect(without.outcome.data.warnings).toEqual([
      'the play "all" matched no host and did nothing: a job has those of its nodeset, and localhost besides',
    ]);
  });

  test("variables go over each other as Zuul's do, and what others wrote is no template", async () => {
    const text = `- hosts: localhost
  gather_facts: false
  vars: {level: play, top: play}
  tasks:
    - debug: {msg: "{{ level }} {{ top }} {{ low }} {{ made }} {{ deep.a }}"}
    - debug: {msg: "{{ zuul.message }}"}
    - debug: {msg: "{{ returned_text }}"}
    - debug: {msg: "{{ zuul.change }} {{ zuul.attempts }} {{ zuul.executor.log_root }}"}
`;
    const { request } = await requestWith({});
    const message = 'a "quoted" {{ 1 + 1 }} \u{1f600} é \u2028 {% raw %}';
    const { log, outcome } = await run(text, {
      zuul: { ...request.zuul, message },
      inventory: {
        returned: { low: "returned", returned_text: "{{ 2 + 2 }}", level: "returned" },
        vars: { level: "job", low: "job", made: "{{ low }}-{{ 3 + 3 }}", deep: { a: 1.5e21 } },
        extraVars: { top: "extra" },
      },
    });
    expect(outcome.detail).toBe(null);
    expect(log).toContain("play extra job job-6 1.5e+21");
    expect(log).toContain("{{ 1 + 1 }}");
    expect(log).toContain("{{ 2 + 2 }}");
    expect(log).toContain("7 1 /build/out/artifacts");
  });

  test("facts that were gathered once are known to the playbooks after it", async () => {
    const gather = "- hosts: localhost\n  gather_facts: true\n  tasks: []\n";
    const { request, playbook } = await requestWith({
      "pre.yaml": gather,
      "run.yaml": play(show("{{ ansible_facts.user_dir }}")),
    });
    const { log } = await stage.run({
      ...request,
      preRun: [playbook("pre.yaml")],
      run: [playbook("run.yaml")],
    });
    expect(log).toContain("/build/home");
  });

  test("what a build tells when it pauses has no secret in it, and seals what is for files of later jobs", async () => {
    const sealingKey = Buffer.alloc(32, 7);
    await using executor = await stage.start({ folder: join(stage.folder, "pausing"), sealingKey });
    const returned = `- zuul_return:
    data: {address: "https://user:{{ site.password }}@cache", zuul: {pause: true}}
    secret_data: {token: for-later-jobs}`;
    const { request, playbook } = await requestWith({ "run.yaml": play(returned) });
    const secrets = seal(sealingKey, { site: { password: "hunter-and-2" } }, "secrets of build-1");
    const told: ReturnedData[] = [];
    const outcome = await executor.run(
      { ...request, run: [playbook("run.yaml", { trusted: true, secrets })] },
      { onPaused: async (data) => void told.push(data) },
    );
    expect(outcome.result).toEqual(final("SUCCESS"));
    expect(told).toHaveLength(1);
    for (const data of [...told, outcome.data]) {
      expect(data.variables).toEqual({ address: "https://user:********@cache" });
      expect(unseal(sealingKey, data.sealed!, "returned")).toEqual({ token: "for-later-jobs" });
    }
  });

  test("what a playbook is told is on the disk no longer than it runs", async () => {
    const { request, playbook } = await requestWith({ "run.yaml": play(show("hello")) });
    const { log } = await stage.run({
      ...request,
      preRun: [playbook("run.yaml")],
      run: [script("ls $DROVER_WORKSPACE")],
    });
    expect(log).not.toMatch(/^ansible$/m);
    expect(log).toMatch(/^drover.json$/m);
  });

  test("a timeout ends a playbook with all that it has started", async () => {
    const { outcome } = await run(play("- command: sleep 1000"), { timeoutMs: 4_000 });
    expect(outcome.result).toEqual(final("TIMED_OUT"));
  });

  test("a playbook that Ansible cannot read is a failure that shows where", async () => {
    const { outcome, log } = await run("- hosts: localhost\n  tasks: [\n");
    expect(outcome.result).toEqual(final("FAILURE"));
    expect(log).toMatch(/run\.yaml.*line/);
  });
});

describeWith(["ansible", "bubblewrap"], "contexts", () => {
  test("a trusted playbook has a home and temporary files that nobody else has written, and the same workspace", async () => {
    const planted = "echo planted > ~/.config-of-a-tool; echo planted > /tmp/x; echo seen > seen";
    const { request, playbook } = await requestWith({
      "run.yaml": play(`- shell: "ls -A ~ /tmp; echo end; cat ~/src/org/app/seen"`),
    });
    const seen = async (trusted: boolean) =>
      (await stage.run({ ...request, preRun: [script(planted)], run: [playbook("run.yaml", { trusted })] }))
        .log;
    const untrusted = await seen(false);
    expect(untrusted).toMatch(/\.config-of-a-tool/);
    expect(untrusted).toMatch(/^x$/m);
    const trusted = await seen(true);
    expect(trusted).not.toMatch(/\.config-of-a-tool|^x$/m);
    expect(trusted).toMatch(/end\nseen/);
  });

  test("so it has where builds are users of their own, without bubblewrap", async () => {
    await using executor = await stage.start({ folder: join(stage.folder, "users"), isolation: "user" });
    expect(executor.isolation).toBe("user");
    const plant =
      'for at in "$DROVER_WORKSPACE"/apart "$DROVER_WORKSPACE"/apart/home; do ls $at; echo x > $at/planted; done; true';
    const { request, playbook } = await requestWith({
      "run.yaml": play(`- shell: "ls -A ~ $TMPDIR; echo written > ~/own; echo end"`),
    });
    const trusted = playbook("run.yaml", { trusted: true });
    const run = [script(plant), trusted, script(plant), trusted];
    const { execution, result } = await executor.run({ ...request, run });
    expect(result).toEqual(final("SUCCESS"));
    const log = await stage.wholeLogOf(execution, executor);
    expect(log.match(/apart.*Permission denied/g)).toHaveLength(8);
    expect(log).not.toMatch(/^planted$/m);
    // What it has left itself is there the next time.
    expect(log).toMatch(/^own$/m);
  });

  test("a label of the nodeset is no template", async () => {
    const nodes = [{ name: "one", label: "{{ 6 * 7 }}" }];
    const { log } = await run(play(show("label {{ nodepool.label }}"), "one"), { inventory: { nodes } });
    expect(log).toContain("label {{ 6 * 7 }}");
  });

  test("a playbook cannot change what others of the job are, and has no network unless the job has", async () => {
    const { log } = await run(
      play(
        [
          '- shell: "echo x >> {{ playbook_dir }}/run.yaml"\n  ignore_errors: true',
          '- shell: "ls /sys/class/net; cat /proc/net/route | wc -l"',
        ].join("\n"),
      ),
    );
    expect(log).toMatch(/Read-only file system|Permission denied/);
    expect(log).toMatch(/^[01]$/m);
  });
});

describe("without Ansible", () => {
  test("a build with a playbook ends at once, and says what to install", async () => {
    const executor = await stage.start({
      folder: join(stage.folder, "without"),
      ansiblePlaybook: "no-such-ansible-playbook",
    });
    try {
      const { request, playbook } = await requestWith({ "run.yaml": play(show("x")) });
      const outcome: BuildOutcome = await executor.run({ ...request, run: [playbook("run.yaml")] });
      expect(outcome).toMatchObject({
        result: final("ERROR"),
        detail:
          "run.yaml is an Ansible playbook, and there is no no-such-ansible-playbook where builds run; install Debian's package ansible-core there",
      });
      expect((await executor.run(stage.request("true"))).result).toEqual(final("SUCCESS"));
    } finally {
      await executor.close();
    }
    expect(existsSync(join(stage.folder, "without", "work"))).toBe(false);
  });
});
