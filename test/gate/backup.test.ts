import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { parse as parseYaml } from "yaml";
import { freePort } from "../peers/ports.ts";
import { until } from "../peers/until.ts";

/* What docs/OPERATING.md says of a gate's backup, with the real command: taken under way, restored after the disk is gone. */

const ROOT = resolve(import.meta.dirname, "../..");
const DROVER = join(ROOT, "packages/cli/bin/drover.js");
const DEADLINE_MS = 60_000;
const runFile = promisify(execFile);

interface Stage {
  readonly folder: string;
  readonly url: string;
  /** Of `drover gate`. */
  readonly gate: (...words: string[]) => Promise<string>;
  readonly git: (...words: string[]) => Promise<string>;
  readonly up: (name: string) => Promise<ChildProcess>;
}

async function stage(): Promise<Stage> {
  const folder = mkdtempSync(join(tmpdir(), "drover-backup-"));
  const [port, http] = [await freePort(), await freePort()];
  const url = `http://localhost:${http}`;
  const person = { NAME: "Ann", EMAIL: "ann@example.org" };
  const env = {
    PATH: process.env.PATH,
    HOME: folder,
    DROVER_GATE: url,
    ...Object.fromEntries(Object.entries(person).map(([key, value]) => [`GIT_AUTHOR_${key}`, value])),
    ...Object.fromEntries(Object.entries(person).map(([key, value]) => [`GIT_COMMITTER_${key}`, value])),
  };
  const children = new Set<ChildProcess>();
  onTestFinished(async () => {
    for (const child of children) child.kill("SIGKILL");
    await Promise.all(
      [...children].map((child) => child.exitCode ?? child.signalCode ?? once(child, "exit")),
    );
    rmSync(folder, { recursive: true, force: true });
  });
  const options = { cwd: folder, env };
  const run = async (program: string, words: readonly string[]): Promise<string> =>
    (await runFile(program, words, options)).stdout;
  return {
    folder,
    url,
    gate: (...words) => run(process.execPath, [DROVER, "gate", ...words]),
    git: (...words) => run("git", words),
    up: async (name) => {
      const places = [
        "--port",
        String(port),
        "--http",
        `localhost:${http}`,
        "--store",
        "memory",
        "--url",
        "https://gate.example.com",
      ];
      const child = spawn(process.execPath, [DROVER, "gate", "up", name, ...places], {
        ...options,
        stdio: "ignore",
      });
      children.add(child);
      const isReady = () =>
        fetch(`${url}/readyz`).then(
          ({ ok }) => ok,
          () => false,
        );
      await until("the gate is ready", DEADLINE_MS, isReady);
      return child;
    },
  };
}

interface Summary {
  readonly subject: { readonly number: number };
  readonly state: string;
}

test("a backup of a gate that runs brings all of it back, users too, and it goes on", {
  timeout: 240_000,
}, async () => {
  const { folder, url, gate, git, up } = await stage();
  const states = async (): Promise<Record<string, string>> => {
    const changes = JSON.parse(await gate("changes", "--json")) as Summary[];
    return Object.fromEntries(changes.map(({ subject, state }) => [subject.number, state]));
  };
  const { token } = JSON.parse(await gate("init", "first", "--user", "ann", "--self-approval", "--json"));
  const first = await up("first");
  await gate("project", "add", "tools/build");
  const remote = new URL("/git/sample.git", url);
  [remote.username, remote.password] = ["ann", token];
  await git("clone", "-q", remote.href, "sample");
  const propose = async (title: string): Promise<void> => {
    await git("-C", "sample", "commit", "-q", "--allow-empty", "-m", title);
    await git("-C", "sample", "push", "-q", "origin", "HEAD:refs/for/main");
  };
  await propose("One");
  await gate("approve", "1");
  await until("change 1 is merged", DEADLINE_MS, async () => (await states())[1] === "merged");
  const bob = (await gate("user", "add", "bob", "--json")).trim();
  const { token: bobs } = JSON.parse(bob) as { token: string };
  writeFileSync(join(folder, "bob.token"), bobs);
  await gate("pause");
  await propose("Two");
  await gate("approve", "2");

  await gate("backup", "first", "copy");
  await expect(gate("backup", "first", "copy")).rejects.toThrow(/GATE_FOLDER_INVALID: .* is not empty/);
  await propose("Three");
  first.kill("SIGKILL");
  await once(first, "exit");
  rmSync(join(folder, "first"), { recursive: true });

  await gate("init", "second", "--from", "copy");
  await up("second");
  expect(await states()).toEqual({ 1: "merged", 2: "open" });
  expect(await gate("status")).toMatch(/PAUSED[\s\S]*gate: 1 item\n[\s\S]*2,1 sample\/main Two/);
  const { fetchCommand } = (await (await fetch(`${url}/api/gate/changes/2`)).json()) as {
    fetchCommand: string;
  };
  expect(fetchCommand).toBe("git fetch https://gate.example.com/git/sample.git refs/changes/2/1");
  await gate("unpause");
  await until("change 2 is merged", DEADLINE_MS, async () => (await states())[2] === "merged");
  await git("-C", "sample", "fetch", "-q", "origin", "main");
  expect(await git("-C", "sample", "log", "-2", "--format=%s", "FETCH_HEAD")).toBe("Two\nOne\n");
  expect(await git("ls-remote", "--symref", `${url}/git/tools/build.git`, "HEAD")).toMatch(
    /^ref: refs\/heads\/main\t/,
  );
  await gate("comment", "2", "Well done.", "--token-file", "bob.token");
  await gate("user", "remove", "bob");
  await expect(gate("comment", "2", "Once more.", "--token-file", "bob.token")).rejects.toThrow(
    /UNAUTHENTICATED/,
  );
  await expect(gate("user", "remove", "ann")).rejects.toThrow(/another operator has to/);
  // The number that was given after the backup is given again.
  await git("-C", "sample", "push", "-q", "origin", "HEAD:refs/for/main");
  expect(await states()).toMatchObject({ 3: "open" });
});

test("what is no backup or no gate is refused, and leaves nothing", async () => {
  const { folder, gate } = await stage();
  mkdirSync(join(folder, "empty"));
  await expect(gate("backup", "empty", "copy")).rejects.toThrow(/GATE_FOLDER_INVALID/);
  await expect(gate("init", "new", "--from", "empty")).rejects.toThrow(
    /GATE_FOLDER_INVALID: .* is no backup/,
  );
  expect(readdirSync(folder).filter((name) => !name.startsWith("."))).toEqual(["empty"]);
});

test("alert rules of a gate and OPERATING.md name only what a gate tells", { timeout: 120_000 }, async () => {
  const { url, gate, up } = await stage();
  await gate("init", "first");
  await up("first");
  const text = readFileSync(join(ROOT, "docs/observability/gate-alerts.yaml"), "utf8");
  const { groups } = parseYaml(text) as { groups: { rules: { alert: string; expr: string }[] }[] };
  const told = await (await fetch(`${url}/metrics`)).text();
  const rules = groups.flatMap((group) => group.rules);
  expect(rules.length).toBeGreaterThan(5);
  for (const { alert, expr } of rules) {
    const names = expr.match(/\bdrover_\w+/g) ?? [];
    expect(names, alert).not.toEqual([]);
    for (const name of names) expect(told, alert).toContain(`# TYPE ${name} `);
  }
  const named = readFileSync(join(ROOT, "docs/OPERATING.md"), "utf8").match(/\bdrover_gate_\w+/g) ?? [];
  expect(named).not.toEqual([]);
  for (const name of named) expect(told).toContain(`# TYPE ${name} `);
});
