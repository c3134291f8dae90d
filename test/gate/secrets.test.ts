import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { backupGate, encryptedSecret, restoreGate } from "@drover/gate";
import type { BuildView, ChangeView } from "@drover/gate/api";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Clone } from "../../packages/gate/test/forge/stage.ts";
import { describeWith } from "../peers/needs.ts";
import { until } from "../peers/until.ts";
import { proposeChange, RunningGate } from "./running-gate.ts";

/* Secrets from `drover gate encrypt` to the playbook that has them, and whether anybody else ever sees them. */

const DEADLINE_MS = 80_000;

const PASSWORD = "correct-horse-battery-staple";
const KEY = `-----BEGIN KEY-----\n${"c2VjcmV0IGxpbmUg".repeat(4)}\n${"YW5vdGhlciBsaW5l".repeat(4)}\n-----END KEY-----`;
const RETURNED = "returned-for-your-eyes-only";
/** What must be nowhere. */
const CLUES = [
  PASSWORD,
  "c2VjcmV0IGxpbmUg",
  "YW5vdGhlciBsaW5l",
  RETURNED,
  Buffer.from(PASSWORD).toString("base64"),
];

const play = (tasks: string) => `- hosts: localhost\n  gather_facts: false\n  tasks:\n${tasks}`;

const SITE = `
- job:
    name: site
    parent: base
    abstract: true
    pre-run: playbooks/pre.yaml
    post-run: tools/check-token
    secrets:
      - {name: site, secret: site-secret}
`;

const SITE_FILES = {
  "playbooks/pre.yaml": play(`    - shell: |
        echo "plain {{ site.password }}, and {{ site.user }}"
        printf '%s' '{{ site.password }}' | base64
        printf 'user:%s' '{{ site.password }}' | base64
        printf '%s' '{{ site.password | urlencode }}' | cut -c 1-10; printf '%s' '{{ site.password | urlencode }}' | cut -c 11-
        printf '%s' '{{ site.password }}' | cut -c 1-7 | tr -d '\\n'; sleep 0.2; printf '%s\\n' '{{ site.password }}' | cut -c 8-
        echo "{{ site.key }}"
    - debug: {var: site}
    - fail: {msg: "{{ site.password }}"}
      ignore_errors: true
    - shell: ls -l /build/given; cat /build/given/secrets.yaml
    - zuul_return:
        data: {told: "with {{ site.password }} in it", zuul: {warnings: ["{{ site.password }}"]}}
        secret_data: {handed_on: ${RETURNED}}
`),
};

const APP_CONFIG = `
- job:
    name: uses
    parent: site
    run: playbooks/run.yaml

- job:
    name: after
    parent: base
    run: playbooks/after.yaml
    dependencies: uses

- job:
    name: own
    parent: base
    run: playbooks/own.yaml
    secrets: own-secret

- job:
    name: plain
    parent: base
    command: ["true"]

- project:
    check:
      jobs:
        - plain: {files: [^uses-twin]}
        - uses: {files: [^uses]}
        - after: {files: [^uses]}
        - own: {files: [^own]}
    gate:
      jobs:
        - noop
        - own: {files: [^own]}
`;

let running: RunningGate;
let app: Clone;

const encrypted = async (project: string, name: string, field: string, value: string): Promise<string> => {
  const { body } = await running.ask<string>("GET", `/projects/${encodeURIComponent(project)}/key`);
  return encryptedSecret(body, name, field, Buffer.from(value));
};

const propose = (
  clone: Clone,
  files: Readonly<Record<string, string>>,
  title = `Change ${Object.keys(files).join()}`,
) => proposeChange(clone, title, files);

const voted = (number: number) =>
  until(`the gate has voted on ${number}`, DEADLINE_MS, async () => {
    const seen = await running.get<ChangeView>(`/changes/${number}`);
    return seen.comments.some(({ author, vote }) => author === "gate" && (vote ?? 0) !== 0)
      ? seen
      : undefined;
  });

async function buildsOf(number: number) {
  const builds = (await running.get<BuildView[]>(`/builds?change=${number}`)).toReversed();
  const logs = await Promise.all(builds.map(({ id }) => running.get<string>(`/builds/${id}/log`)));
  return { builds, logs };
}

/** Files below the gate's folder, and all that was logged, in which something of a secret is. */
function found(clue: string): string[] {
  let files = "";
  try {
    files = execFileSync("grep", ["-rlaF", "--", clue, running.gateFolder], { encoding: "utf8" });
  } catch {
    // There is none.
  }
  const logged = running.logged.filter((entry) => JSON.stringify(entry).includes(clue));
  return [...files.split("\n").filter(Boolean), ...logged.map((entry) => JSON.stringify(entry))];
}

describeWith(["ansible", "bubblewrap"], "secrets", () => {
  beforeAll(async () => {
    running = await RunningGate.start();
    app = await running.repository("app", "alice", { README: "app\n" });
    await running.post("/projects", "root", { name: "app", importFrom: app.folder });
    const site = `${await encrypted("config", "site-secret", "password", PASSWORD)}      key: ${(
      await encrypted("config", "x", "key", KEY)
    )
      .split("key: ")[1]!
      .trimEnd()}\n      user: deployer\n`;
    const config = await running.clone("config", "root");
    await config.commit("Set up", { "zuul.d/site.yaml": `${site}${SITE}`, ...SITE_FILES });
    config.write(
      "tools/check-token",
      `#!/bin/sh\ngrep -c '"password"' "$DROVER_SECRETS"; cat "$DROVER_SECRETS"; echo "$HOME"\n`,
    );
    await config.ok("add", "--all");
    await config.ok("update-index", "--chmod=+x", "tools/check-token");
    await config.ok("commit", "--quiet", "-m", "A program");
    expect((await config.push("refs/heads/main")).code).toBe(0);
    const own = await encrypted("app", "own-secret", "token", PASSWORD);
    await running.pushDirectly("app", {
      "zuul.yaml": `${own}${APP_CONFIG}`,
      "playbooks/run.yaml": play(
        `    - debug: {msg: "site is {{ site is defined }}"}\n    - shell: find /build /tmp -type f | xargs grep -l "hors[e]-battery" || true\n`,
      ),
      "playbooks/after.yaml": play(
        `    - debug: {msg: "{{ told }}; {{ handed_on | length }}; {{ handed_on }}"}\n`,
      ),
      "playbooks/own.yaml": play(
        `    - debug: {msg: "{{ own_secret | default('') }}{{ lookup('vars', 'own-secret').token | length }}"}\n`,
      ),
    });
    await until("the configuration is in use", DEADLINE_MS, () =>
      running.gate.loader.current?.layout.parts.jobs.has("own"),
    );
    expect(running.gate.configProblems).toEqual([]);
  });
  afterAll(() => running?.end());

  test("are given to the files of their definition alone, and seen by nobody: not in logs, the database, answers or on the disk", async () => {
    const number = await propose(app, { uses: "x" });
    const change = await voted(number);
    const { builds, logs } = await buildsOf(number);
    expect(builds.map(({ job, result }) => [job, result])).toEqual([
      ["uses", "SUCCESS"],
      ["after", "SUCCESS"],
    ]);
    const [uses, after] = logs as [string, string];
    // It had them, and what was shown of them is hidden.
    expect(uses).toContain("plain ********, and ********");
    expect(uses).toMatch(/^1\n/m);
    expect(uses).toContain("site is False");
    expect(uses).not.toMatch(/^\/(?:build|tmp)\/\S+$/m);
    expect(after).toContain(`with ******** in it; ${RETURNED.length}; ********`);
    const answers = [change, builds, logs, await running.get("/status"), running.gate.builds.list()];
    for (const clue of CLUES) {
      expect(JSON.stringify(answers).includes(clue), clue).toBe(false);
      expect(found(clue), clue).toEqual([]);
    }
    // The workload had them sealed.
    expect(running.gate.builds.get(Number(builds[0]!.id))?.outcome?.data.sealed).toMatch(
      /^[A-Za-z0-9+/]+=*$/,
    );
  });

  test("keep a build from being shared, and so does secret data of a job before it: of two changes of equal content both run", async () => {
    const sharing = async (title: string) => {
      const number = await propose(app, { "uses-twin": "x" }, title);
      await voted(number);
      const { builds } = await buildsOf(number);
      const executions = builds.map(({ id }) => running.gate.builds.get(Number(id))!.execution);
      const shared = Object.fromEntries(builds.map(({ job, shared }) => [job, shared?.how ?? "ran"]));
      return { shared, executions };
    };
    const [first, second] = [await sharing("One"), await sharing("Another")];
    expect(first.shared).toEqual({ plain: "ran", uses: "ran", after: "ran" });
    // The one without secrets says that the content is equal.
    expect(second.shared).toEqual({ plain: "reused", uses: "ran", after: "ran" });
    expect(new Set([...first.executions, ...second.executions]).size).toBe(5);
  });

  test("of an untrusted project are for pipelines after review: check refuses, with the reason, and gate runs", async () => {
    const number = await propose(app, { own: "x" });
    const refused = await voted(number);
    expect(JSON.stringify(refused.comments)).toContain("pipeline check does not allow post-review job own");
    expect((await buildsOf(number)).builds).toEqual([]);
    await running.post(`/changes/${number}/approve`, "bob");
    const merged = await until("it has merged", DEADLINE_MS, async () => {
      const seen = await running.get<ChangeView>(`/changes/${number}`);
      return seen.state === "merged" ? seen : undefined;
    });
    expect(merged.state).toBe("merged");
    const { logs } = await buildsOf(number);
    expect(logs.join()).toContain(String(PASSWORD.length));
  });

  test("that were encrypted for another project cannot be read, and the build says so", async () => {
    const text = await encrypted("config", "own-secret", "token", PASSWORD);
    const number = await propose(app, { "zuul.yaml": `${text}${APP_CONFIG}`, own: "z" });
    await running.post(`/changes/${number}/approve`, "bob");
    const last = await until("its build has ended", DEADLINE_MS, async () => {
      const build = (await buildsOf(number)).builds.at(-1);
      return build?.result == null ? undefined : build;
    });
    expect(last).toMatchObject({
      result: "ERROR",
      detail: expect.stringContaining(
        "was not encrypted for app of this gate; encrypt it anew: drover gate encrypt --project app",
      ),
    });
  });

  test("a backup has the keys, for its owner alone", async () => {
    const [to, folder] = [join(running.folder, "backup"), join(running.folder, "restored")];
    await backupGate(running.gateFolder, to);
    await restoreGate(to, folder);
    for (const name of ["app.pem", "config.pem", "sealing.key"]) {
      const words = ["-c", "%a", join(folder, "keys", name)];
      expect(execFileSync("stat", words, { encoding: "utf8" }).trim()).toBe("600");
      execFileSync("cmp", [join(running.gateFolder, "keys", name), join(folder, "keys", name)]);
    }
    expect(existsSync(join(to, "keys"))).toBe(true);
  });
});
