import { encryptedSecret } from "@drover/gate";
import type { BuildView, ChangeView } from "@drover/gate/api";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Clone } from "../../packages/gate/test/forge/stage.ts";
import { describeWith } from "../peers/needs.ts";
import { until } from "../peers/until.ts";
import { proposeChange, RunningGate } from "./running-gate.ts";

/* What a change may try by way of Ansible: to read what the gate has, or what a trusted playbook of its job has. */

const DEADLINE_MS = 240_000;
const TOKEN = "the-token-of-the-site";
const BACKWARDS = [...TOKEN].reverse().join("");

const play = (tasks: string) => `- hosts: localhost\n  gather_facts: false\n  tasks:\n${tasks}`;

const SITE = `
- job:
    name: site
    parent: base
    abstract: true
    post-run: playbooks/publish.yaml
    secrets: [site]
    vars: {channel: "{{ zuul.pipeline }}"}
`;

const CONFIG_FILES = {
  "playbooks/publish.yaml":
    play(`    - debug: {msg: "published {{ title }} to {{ channel }} with {{ site.token | length }}"}
    - shell: echo "as $HOME"
`),
};

const hostile = (gateFolder: string) =>
  play(`    - debug: {msg: "{{ lookup('file', '${gateFolder}/gate.db') }}"}
      ignore_errors: true
    - debug: {msg: "{{ lookup('pipe', 'cat ${gateFolder}/keys/sealing.key') }}"}
      ignore_errors: true
    - debug: {msg: "{{ lookup('file', '/etc/shadow') }}"}
      ignore_errors: true
    - local_action: {module: command, argv: [ls, "${gateFolder}"]}
      ignore_errors: true
    - command: {argv: [find, /, -xdev, -name, sealing.key, -not, -path, "/proc/*"]}
      delegate_to: localhost
      ignore_errors: true
    - shell: |
        ln -s ${gateFolder}/keys $DROVER_ARTIFACTS/keys
        ln -s /etc/shadow $DROVER_ARTIFACTS/shadow
        ln -s ${gateFolder}/gate.db $DROVER_ARTIFACTS/gate.db
        ln -sf ${gateFolder}/keys/sealing.key $DROVER_RESULT
        mkdir -p ~/.ansible/plugins/action ~/.ansible/plugins/modules ~/.ansible/collections
        cp {{ playbook_dir }}/action_plugins/debug.py ~/.ansible/plugins/action/debug.py
        printf '[defaults]\\naction_plugins = /build/src/app/playbooks/action_plugins\\n' > ~/.ansible.cfg
        cp ~/.ansible.cfg /build/src/ansible.cfg
        echo done with it
`);

/** An action of the name of one of Ansible's own. */
const PLUGIN = `import os
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        found = (task_vars or {}).get("site", {})
        return {"failed": False, "msg": "plugin sees %s as %d" % (sorted(found), os.getuid())}
`;

const APP_CONFIG = `
- job:
    name: hostile
    parent: site
    run: playbooks/hostile.yaml
    vars:
      title: "{{ site.token | reverse }}{{ lookup('pipe', 'id -u') }}"

- job:
    name: plugged
    parent: site
    run: playbooks/plugged.yaml
    attempts: 1
    vars: {title: a page}

- job:
    name: floods
    parent: base
    run: playbooks/floods.yaml

- job:
    name: returns
    parent: base
    run: playbooks/returns.yaml

- job:
    name: given
    parent: site
    run: playbooks/given.yaml
    dependencies: [returns]
    attempts: 1
    vars: {title: another, ansible_python_interpreter: /build/src/app/shell}

- project:
    check:
      jobs:
        - hostile: {files: [^hostile]}
        - plugged: {files: [^plugged]}
        - floods: {files: [^floods]}
        - returns: {files: [^returns]}
        - given: {files: [^returns]}
`;

let running: RunningGate;
let app: Clone;

async function checked(files: Readonly<Record<string, string>>) {
  const number = await proposeChange(app, `Change ${Object.keys(files).join()}`, files);
  await until(`the gate has voted on ${number}`, DEADLINE_MS, async () => {
    const { comments } = await running.get<ChangeView>(`/changes/${number}`);
    return comments.some(({ author, vote }) => author === "gate" && (vote ?? 0) !== 0);
  });
  const builds = (await running.get<BuildView[]>(`/builds?change=${number}`)).toReversed();
  const logs = await Promise.all(builds.map(({ id }) => running.get<string>(`/builds/${id}/log`)));
  return { builds, logs };
}

describeWith(["ansible", "bubblewrap"], "a playbook that nobody trusts", () => {
  beforeAll(async () => {
    running = await RunningGate.start();
    app = await running.repository("app", "alice", { README: "app\n" });
    await running.post("/projects", "root", { name: "app", importFrom: app.folder });
    const { body } = await running.ask<string>("GET", "/projects/config/key");
    const secret = encryptedSecret(body, "site", "token", Buffer.from(TOKEN));
    await running.pushDirectly("config", { "zuul.d/site.yaml": `${secret}${SITE}`, ...CONFIG_FILES });
    await running.pushDirectly("app", {
      "zuul.yaml": APP_CONFIG,
      "playbooks/hostile.yaml": hostile(running.gateFolder),
      "playbooks/plugged.yaml": play(
        `    - spy:\n      register: spied\n    - command: echo "{{ spied.msg }}"\n    - shell: mkdir -p ~/.ansible; cp -r {{ playbook_dir }} /build/src/; echo planted\n`,
      ),
      "playbooks/action_plugins/debug.py": PLUGIN,
      "playbooks/action_plugins/spy.py": PLUGIN,
      "playbooks/floods.yaml": play(
        `    - zuul_return: {data: {much: "{{ 'x' * 3000000 }}"}}\n    - debug: {msg: went on}\n`,
      ),
      "playbooks/returns.yaml": play(
        `    - zuul_return: {data: {ansible_shell_executable: /build/src/app/shell, channel: "{{ '{{ site.token | reverse }}' }}"}}\n`,
      ),
      "playbooks/given.yaml": play(`    - command: echo given\n`),
      shell: `#!/bin/sh\necho "the shell of the change sees $(cat /build/given/secrets.yaml | rev)"\n`,
    });
    await until("the configuration is in use", DEADLINE_MS, () =>
      running.gate.loader.current?.layout.parts.jobs.has("given"),
    );
    expect(running.gate.configProblems).toEqual([]);
  });
  afterAll(() => running?.end());

  test("sees nothing of the gate's, by whatever way of Ansible's, and nothing of it is kept", {
    timeout: 300_000,
  }, async () => {
    const { builds, logs } = await checked({ hostile: "x" });
    const [log] = logs as [string];
    expect(log).toContain("done with it");
    expect(log).not.toContain("sealing.key\n");
    expect(log).not.toMatch(/SQLite format|root:[^:]*:\d+:/);
    expect(log).toMatch(/cannot access|No such file/);
    const [build] = builds as [BuildView];
    const kept = await running.get<BuildView>(`/builds/${build.id}`);
    expect(JSON.stringify(kept.artifacts)).toBe("[]");
    // A link is no result.
    expect(build.result).not.toBe("SUCCESS");
    expect(JSON.stringify(kept)).not.toContain("sealing.key of");
    // Nor does it get at a secret by a variable that a trusted playbook has from it.
    expect(log).toContain("published {{ site.token | reverse }}{{ lookup('pipe', 'id -u') }} to check");
    expect(log).toContain(`with ${TOKEN.length}`);
    expect(log).toContain("as /build/home");
    expect(log).not.toContain(BACKWARDS);
  });

  test("has plugins of its own for itself alone", { timeout: 300_000 }, async () => {
    const { builds, logs } = await checked({ plugged: "x" });
    const [log] = logs as [string];
    expect(builds).toMatchObject([{ job: "plugged", result: "SUCCESS" }]);
    expect(log).toContain("plugin sees [] as 2");
    expect(log).not.toContain("plugin sees ['token']");
    expect(log).toContain("planted");
    expect(log).toContain(`published a page to check with ${TOKEN.length}`);
  });

  test("that returns too much fails, and says so", { timeout: 300_000 }, async () => {
    const { builds, logs } = await checked({ floods: "x" });
    expect(builds).toMatchObject([
      {
        result: "FAILURE",
        detail: expect.stringMatching(/what zuul_return returned has \d+ bytes, of at most/),
      },
    ]);
    expect(logs[0]!.length).toBeLessThan(100_000);
  });

  test("does not tell a later job's trusted playbook how Ansible works, nor gives it templates", {
    timeout: 300_000,
  }, async () => {
    const { builds, logs } = await checked({ returns: "x" });
    expect(builds.map(({ job, result }) => [job, result])).toEqual([
      ["returns", "SUCCESS"],
      // It has spoilt its own shell; how Ansible takes that differs.
      ["given", expect.stringMatching(/^(?:FAILURE|RETRY)$/)],
    ]);
    expect(logs[1]).not.toContain(BACKWARDS);
    const [, trusted] = logs[1]!.split("drover: post-run 1:");
    expect(trusted).toContain("published another to check");
    expect(trusted).toContain("as /build/home");
    expect(trusted).not.toContain("the shell of the change sees");
  });
});
