import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import type { Gate } from "@drover/gate";
import type { StatusView } from "@drover/gate/api";
import { CommandFailed } from "../errors.ts";
import { passingServer, silent } from "../gate/passing-server.ts";
import { statusLines } from "../gate/show.ts";
import { durationText } from "../terminal/table.ts";
import { durationMs } from "../times.ts";
import { CHANGES, type DemoChange, PROJECTS } from "./gate-projects.ts";

export interface GateDemoFlags {
  readonly timeout: string;
  readonly slots: string;
  readonly keep?: boolean;
  readonly json?: boolean;
}

interface ChangeReport {
  readonly number: number;
  readonly title: string;
  readonly project: string;
  readonly state: string;
  readonly expected: string;
  /** What its own tests said when it was pushed, with what it needs beneath it and nothing else. */
  readonly alone: "passed" | "failed";
  readonly why: string;
}

export interface GateDemoReport {
  readonly changes: readonly ChangeReport[];
  readonly elapsedMs: number;
  readonly builds: number;
  /** Of the builds, those that took the execution of an equal one. */
  readonly shared: number;
  readonly resets: number;
  /** Builds whose preparation failed and that were run again. */
  readonly retried: number;
  /** Changes that were right alone and would have broken what others rely on. */
  readonly wouldHaveBroken: readonly number[];
  readonly problems: readonly string[];
  readonly right: boolean;
}

const AUTHOR = "alice";
const REVIEWER = "bob";
const LOOK_MS = 200;

/** Runs the demo in a gate of its own, prints what happens and sets the exit code. */
export async function gateDemo(flags: GateDemoFlags): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "drover-demo-gate-"));
  const clean = (): void => {
    if (flags.keep !== true) rmSync(folder, { recursive: true, force: true });
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
      clean();
      process.exit(1);
    });
  }
  try {
    const report = await runGateDemo(folder, flags);
    process.stdout.write(flags.json === true ? `${JSON.stringify(report, null, 2)}\n` : reportText(report));
    if (!report.right)
      throw new CommandFailed(
        "DEMO_WRONG",
        `the demo did not show what it must: ${report.problems.join("; ")}`,
      );
  } finally {
    clean();
  }
}

async function runGateDemo(folder: string, flags: GateDemoFlags): Promise<GateDemoReport> {
  const { Gate, gateHttp, gateVersionCheck, initGate } = await loaded();
  await gateVersionCheck();
  const [{ HttpServer }, { DASHBOARD_FOLDER }] = await Promise.all([
    import("@drover/server/http"),
    import("@drover/web"),
  ]);
  const say = (text: string): void => {
    if (flags.json !== true) process.stdout.write(text);
  };
  const began = performance.now();
  const deadline = began + durationMs(flags.timeout, "--timeout");
  const { token } = await initGate(join(folder, "gate"), { log: silent, user: AUTHOR, sample: null });
  const server = await passingServer();
  const gate = await Gate.open({
    folder: join(folder, "gate"),
    server,
    log: silent,
    slots: Number(flags.slots),
  });
  const http = await HttpServer.start({
    server,
    log: silent,
    listen: ["127.0.0.1:0"],
    dashboard: DASHBOARD_FOLDER,
    extensions: [gateHttp(gate, { log: silent })],
  });
  try {
    gate.forge.urls = [`http://${http.addresses[0]!}`];
    gate.forge.users.add(REVIEWER, "operator");
    say(
      `Three repositories, ${CHANGES.length} changes. Each is right for its own tests; not all of them can be merged.\n` +
        `Watch it: http://${http.addresses[0]!}/#/gate\n\n`,
    );
    await makeProjects(gate);
    await pushAll(gate, folder, token, say);
    await until(deadline, "all checks have ended", () => isIdle(gate));
    say("\nAll were tested alone. Now they are approved, in this order.\n\n");
    const reviewer = gate.forge.users.find(REVIEWER)!;
    for (const number of numbers()) gate.forge.approve(number, reviewer);
    await watchQueue(gate, deadline, flags);
    return await judged(gate, performance.now() - began);
  } finally {
    await http.stopAccepting();
    await gate.close();
    await server.stop(0);
    await http.close();
  }
}

async function loaded() {
  const gate = await import("@drover/gate");
  return { ...gate, gateVersionCheck: gate.gitVersion };
}

function numbers(): number[] {
  return CHANGES.map((_, index) => index + 1);
}

async function makeProjects(gate: Gate): Promise<void> {
  const { commitFiles } = await import("@drover/gate");
  for (const [name, files] of Object.entries(PROJECTS)) {
    await gate.addProject(name);
    await commitFiles(gate.forge.gitDir(name), "main", files, "To begin with");
  }
  // A queue that they share: what one of them breaks in another is found before it is merged.
  const queue = { path: "zuul.d/queues.yaml", text: "- queue:\n    name: together\n" };
  await commitFiles(gate.forge.gitDir("config"), "main", [queue], "A queue for all");
  const problems = await gate.reconfigure();
  if (problems.length > 0) throw new Error(`bug: the demo's configuration: ${JSON.stringify(problems)}`);
}

/** Pushes each change as its author would: from a clone, on what is merged, or on nothing but the first state. */
async function pushAll(
  gate: Gate,
  folder: string,
  token: string,
  say: (text: string) => void,
): Promise<void> {
  const { git } = await import("@drover/gate");
  const who = { GIT_AUTHOR_NAME: "Alice", GIT_AUTHOR_EMAIL: "alice@example.org" };
  const env = {
    ...who,
    GIT_COMMITTER_NAME: who.GIT_AUTHOR_NAME,
    GIT_COMMITTER_EMAIL: who.GIT_AUTHOR_EMAIL,
    DROVER_TOKEN: token,
  };
  for (const project of Object.keys(PROJECTS)) {
    await git(["clone", "--quiet", gate.forge.gitDir(project), join(folder, project)], { env });
  }
  for (const [index, change] of CHANGES.entries()) {
    const cwd = join(folder, change.project);
    const number = index + 1;
    await git(["checkout", "--quiet", "--detach", parentOf(change)], { cwd, env });
    for (const { path, text } of change.files) {
      mkdirSync(dirname(join(cwd, path)), { recursive: true });
      writeFileSync(join(cwd, path), text);
    }
    await git(["add", "--all"], { cwd, env });
    await git(["commit", "--quiet", "--file=-"], { cwd, env, input: messageOf(change) });
    await git(["tag", `change-${number}`], { cwd, env });
    await git(["push", "--quiet", "origin", "HEAD:refs/for/main"], { cwd, env });
    say(
      `  ${String(number).padStart(2)}  ${change.project.padEnd(5)} ${change.title}${change.note === undefined ? "" : `  (${change.note})`}\n`,
    );
  }
}

/** A change of the same repository that it needs is its parent in git. */
function parentOf({ project, dependsOn }: DemoChange): string {
  if (dependsOn === undefined) return "origin/main";
  return CHANGES[dependsOn - 1]!.project === project ? `change-${dependsOn}` : "origin/main";
}

function messageOf({ project, title, dependsOn }: DemoChange): string {
  const needed = dependsOn === undefined ? undefined : CHANGES[dependsOn - 1]!;
  if (needed === undefined || needed.project === project) return `${title}\n`;
  return `${title}\n\nDepends-On: gate:${needed.project}/${dependsOn}\n`;
}

function isIdle(gate: Gate): boolean {
  return gate.scheduler
    .status()
    .pipelines.every(({ queues }) => queues.every(({ items }) => items.length === 0));
}

async function until(deadline: number, what: string, isSo: () => boolean): Promise<void> {
  while (!isSo()) {
    if (performance.now() > deadline) throw new CommandFailed("DEMO_WRONG", `it took too long until ${what}`);
    await after(LOOK_MS / 4);
  }
}

/** Shows the queue until it is empty: drawn anew on a terminal, else a line for each change that has ended. */
async function watchQueue(gate: Gate, deadline: number, { json }: GateDemoFlags): Promise<void> {
  const { statusView } = await import("@drover/gate");
  const isScreen = process.stdout.isTTY && json !== true;
  const told = new Set<number>();
  let drawn = 0;
  for (;;) {
    const status: StatusView = statusView(gate, Date.now());
    if (isScreen) {
      const lines = statusLines(status, status.atMs).slice(0, Math.max(10, (process.stdout.rows ?? 40) - 2));
      process.stdout.write(`${drawn === 0 ? "" : `\u001b[${drawn}A\u001b[J`}${lines.join("\n")}\n`);
      drawn = lines.length;
    } else if (json !== true) {
      for (const number of numbers()) {
        const text = told.has(number) ? undefined : endOf(gate, number);
        if (text === undefined) continue;
        told.add(number);
        process.stdout.write(`  ${String(number).padStart(2)}  ${text}\n`);
      }
    }
    if (isIdle(gate)) return;
    if (performance.now() > deadline)
      throw new CommandFailed("DEMO_WRONG", "it took too long until the queue was empty");
    await after(LOOK_MS);
  }
}

/** How the gate pipeline ended for a change; `undefined` as long as it has not. */
function endOf(gate: Gate, number: number): string | undefined {
  const change = gate.forge.change(number)!;
  if (change.state === "merged") return "merged";
  const verdict = change.comments.filter(({ vote }) => vote !== null && vote !== 0).at(-1);
  return verdict?.vote === -1
    ? `not merged: ${verdict.text.split("\n").find((line) => line !== "")}`
    : undefined;
}

async function judged(gate: Gate, elapsedMs: number): Promise<GateDemoReport> {
  const problems: string[] = [];
  const changes = CHANGES.map((wanted, index): ChangeReport => {
    const number = index + 1;
    const { state, comments } = gate.forge.change(number)!;
    const [first] = comments.filter(({ vote }) => vote === 1 || vote === -1);
    const last = comments.filter(({ vote }) => vote === 1 || vote === -1).at(-1);
    const alone = first?.vote === 1 ? "passed" : "failed";
    const expected = wanted.ends === "merged" ? "merged" : "open";
    if (state !== expected) problems.push(`change ${number} is ${state}, not ${expected}`);
    if (alone === "failed") problems.push(`change ${number} did not pass alone`);
    const why =
      state === "merged"
        ? ""
        : (last?.text
            .trim()
            .split("\n")
            .filter((line) => line.trim() !== "")
            .slice(0, 3)
            .join(" ") ?? "");
    return { number, title: wanted.title, project: wanted.project, state, expected, alone, why };
  });
  const builds = gate.builds.list({ limit: 500 });
  const retried = builds.filter(({ result }) => result === "RETRY").length;
  if (retried === 0) problems.push("nothing had to be prepared twice");
  const { reused, joined } = gate.ledger.counts();
  await checkBranches(gate, problems);
  return {
    changes,
    elapsedMs: Math.round(elapsedMs),
    builds: builds.length,
    shared: reused + joined,
    resets: gate.scheduler.core.counters.resets,
    retried,
    wouldHaveBroken: CHANGES.flatMap(({ ends }, index) => (ends === "breaks" ? [index + 1] : [])),
    problems,
    right: problems.length === 0,
  };
}

/** Runs the tests of all repositories on what is merged now, outside of the gate. */
async function checkBranches(gate: Gate, problems: string[]): Promise<void> {
  const { git } = await import("@drover/gate");
  const folder = mkdtempSync(join(tmpdir(), "drover-demo-merged-"));
  try {
    for (const project of Object.keys(PROJECTS)) {
      await git(["clone", "--quiet", gate.forge.gitDir(project), join(folder, project)]);
    }
    const { spawnSync } = await import("node:child_process");
    for (const project of Object.keys(PROJECTS)) {
      const { status, stdout } = spawnSync("sh", ["-eu", "test.sh"], { cwd: join(folder, project) });
      if (status !== 0) problems.push(`what is merged fails the tests of ${project}: ${stdout}`);
    }
    if (!readFileSync(join(folder, "docs", "README.md"), "utf8").includes("# The manual")) {
      problems.push("the title is not that of change 8");
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export function reportText(report: GateDemoReport): string {
  const { changes, elapsedMs, builds, shared, resets, retried, wouldHaveBroken, problems, right } = report;
  const lines = changes.map(({ number, project, title, state, why }) => {
    const mark = state === "merged" ? "✓" : "✗";
    return `  ${mark} ${String(number).padStart(2)}  ${project.padEnd(5)} ${title}${state === "merged" ? "" : `\n         ${why}`}`;
  });
  const merged = changes.filter(({ state }) => state === "merged").length;
  const broken = wouldHaveBroken.map((number) => `${number} (${changes[number - 1]!.title})`).join(" and ");
  return `
${lines.join("\n")}

${merged} of ${changes.length} merged in ${durationText(elapsedMs)}: ${builds} builds, ${shared} of them without a run of their own,
${resets} resets, ${retried} prepared again.
Every one of the ${changes.length} had passed alone. To merge and then test would have broken main with
${broken}; the tests of all three repositories pass on what is merged now.
${right ? "" : `\nWrong: ${problems.join("\n       ")}\n`}`;
}
