import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { JobServer, Log } from "@drover/server";
import { explanationView } from "../api/explanation.ts";
import type { ConfigProblem, ExplanationView } from "../api/types.ts";
import { STARTER_CONFIG_FILES } from "../config/index.ts";
import type { ItemStatus } from "../core/index.ts";
import { LocalForge } from "../forge/index.ts";
import { DATABASE_FILE, GATE_FILE, GATE_MIGRATIONS, Gate, REPOSITORIES } from "../gate.ts";
import { commitFiles } from "../git/commit-files.ts";
import { git } from "../git/git.ts";
import type { BuildRow } from "../scheduler/build-table.ts";
import { GateDatabase } from "../store/database.ts";
import { mergedBranches, type TrialClone } from "./clones.ts";
import { TrialError } from "./trial-error.ts";

export interface TrialOptions {
  /** Empty; the gate of the trial is made there. */
  readonly folder: string;
  /** In the order in which they are merged. */
  readonly clones: readonly TrialClone[];
  /** Without a connection to the outside, with `GATE_FUNCTIONS` and `GATE_FUNCTION_RULES`. */
  readonly server: JobServer;
  readonly log: Log;
  readonly slots: number;
  /** Default: the first that a new change triggers. */
  readonly pipeline?: string;
}

/** What would be tested, and with what. */
export interface TrialPlan {
  readonly pipeline: string;
  /** Its configuration is that of `drover gate init`, since no clone has pipelines. */
  readonly isStarter: boolean;
  /** Each change in the order in which it is merged; the last is what is tried. */
  readonly chain: readonly {
    readonly project: string;
    readonly branch: string;
    readonly commit: string;
    readonly title: string;
  }[];
  /** The commit that the branch would become. `null`: it does not merge. */
  readonly merged: string | null;
  readonly explanation: ExplanationView;
  /** Of the configuration as it is merged. */
  readonly configProblems: readonly ConfigProblem[];
}

const USER = "you";
const CONFIG_PROJECT = "config";

/**
 * A gate that is there for one question: what would be tested of what clones have proposed, and would it pass? It has the
 * merger, the configuration and the core of every other gate, and copies of what it needs.
 */
export class Trial {
  readonly gate: Gate;
  readonly pipeline: string;
  readonly #number: number;
  readonly #chain: readonly number[];
  readonly #isStarter: boolean;

  private constructor(gate: Gate, pipeline: string, chain: readonly number[], isStarter: boolean) {
    this.gate = gate;
    this.pipeline = pipeline;
    this.#chain = chain;
    this.#number = chain.at(-1)!;
    this.#isStarter = isStarter;
  }

  /**
   * Makes the gate, and proposes to it what the clones have; nothing is run yet.
   * @throws TrialError, GateError, GateStoreError, GitError, ExecutorError
   */
  static async open(options: TrialOptions): Promise<Trial> {
    const { folder, clones, server, log, slots } = options;
    const proposing = clones.filter(({ commits }) => commits.length > 0);
    if (proposing.length === 0)
      throw new TrialError(
        "TRIAL_REFUSED",
        "no clone has a commit that its branch does not have: commit what is to be tried",
      );
    const isStarter = !clones.some(({ isConfigProject }) => isConfigProject);
    const token = await makeFolder(options, isStarter);
    const gate = await Gate.open({ folder, server, log, slots, reportsElsewhere: false });
    try {
      gate.scheduler.tellNow({ kind: "pause", on: true });
      const first = proposing.at(-1)!;
      const event = { kind: "change-created", project: first.project, branch: first.branch } as const;
      const layout = gate.loader.current!.layout;
      const pipeline = options.pipeline ?? layout.triggersMatching(event)[0];
      const names = layout.pipelines.map(({ name }) => name);
      if (pipeline === undefined || !names.includes(pipeline)) {
        const which =
          pipeline === undefined ? "no pipeline is for a new change" : `there is no pipeline ${pipeline}`;
        throw new TrialError(
          "TRIAL_REFUSED",
          `${which}; there are ${names.join(", ") || "none"}: name one by --pipeline`,
        );
      }
      const chain = await propose(gate, proposing, token);
      enter(gate, chain, pipeline);
      return new Trial(gate, pipeline, chain, isStarter);
    } catch (error) {
      await gate.close();
      throw error;
    }
  }

  /** Waits until it is known which jobs would run, or why none. */
  async plan(): Promise<TrialPlan> {
    await this.#until((item) => item === undefined || item.jobs.length > 0 || item.failing !== null);
    const { gate, pipeline } = this;
    const item = this.#item();
    const frozen = item?.buildset == null ? undefined : gate.builds.frozen(item.buildset);
    const { project, branch } = gate.forge.record(this.#number)!;
    return {
      pipeline,
      isStarter: this.#isStarter,
      chain: this.#chain.map((number) => {
        const record = gate.forge.record(number)!;
        const { title } = gate.factsOf(record);
        return { project: record.project, branch: record.branch, commit: record.commit, title };
      }),
      merged: frozen?.repositories[project]?.branches[branch] ?? null,
      explanation: await this.#planned(),
      configProblems: gate.configProblems,
    };
  }

  /** Of the pipeline that is tried, since the change entered it. */
  async explain(): Promise<ExplanationView> {
    const { jobs, decisions, ...view } = await explanationView(this.gate, this.#number);
    const own = decisions.filter(({ pipeline }) => pipeline === this.pipeline);
    const from = own.findLastIndex(({ text }) => text.startsWith("was enqueued"));
    return {
      ...view,
      jobs: jobs.filter(({ pipeline }) => pipeline === this.pipeline),
      decisions: own.slice(Math.max(0, from)),
    };
  }

  /** As long as nothing is to run, what waits for that would. */
  async #planned(): Promise<ExplanationView> {
    const view = await this.explain();
    const jobs = view.jobs.map((job) => (job.runs ? { ...job, now: "would run" } : job));
    return { ...view, jobs };
  }

  /**
   * Runs the jobs, until the item has left its pipeline.
   * @param onEnd Told of each build when it has ended.
   * @returns Whether nothing held it up.
   */
  async run(onEnd: (build: BuildRow, log: () => Promise<Buffer>) => Promise<void> | void): Promise<boolean> {
    const { gate } = this;
    const subjectId = gate.forge.record(this.#number)!.id;
    const told = new Set<number>();
    gate.pause(false);
    const tell = async (): Promise<void> => {
      for (const row of gate.builds.list({ subjectId, pipeline: this.pipeline, limit: 500 }).reverse()) {
        if (row.endedMs === null || told.has(row.id)) continue;
        told.add(row.id);
        await onEnd(row, () => this.#logOf(row));
      }
    };
    // One after the other, so that nothing is left to tell at the end.
    let telling = Promise.resolve();
    await this.#until((item) => {
      telling = telling.then(tell);
      // It is thrown at the end.
      telling.catch(() => {});
      return item === undefined;
    });
    await telling.then(tell);
    const last = gate.scheduler.core.explain(subjectId).filter((one) => one.pipeline === this.pipeline);
    return last.some(({ text }) => text === "succeeded" || text === "was merged");
  }

  async close(): Promise<void> {
    await this.gate.close();
  }

  async #logOf({ execution }: BuildRow): Promise<Buffer> {
    const parts: Uint8Array[] = [];
    if (execution === null) return Buffer.alloc(0);
    for (let from = 0; ; ) {
      const chunk = await this.gate.executions.readLog(execution, from);
      if (chunk === undefined || chunk.bytes.length === 0) return Buffer.concat(parts);
      parts.push(chunk.bytes);
      from = chunk.offset + chunk.bytes.length;
    }
  }

  #item(): ItemStatus | undefined {
    const { id } = this.gate.forge.record(this.#number)!;
    const found = this.gate.scheduler.status().pipelines.find(({ name }) => name === this.pipeline);
    const items = found?.queues.flatMap(({ items }) => items) ?? [];
    return items.find(({ live, members }) => live && members.some((member) => member.id === id));
  }

  #until(holds: (item: ItemStatus | undefined) => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!holds(this.#item())) return;
        end();
        resolve();
      };
      const end = this.gate.watch(look);
      look();
    });
  }
}

/** @returns The token of the one who tries. */
async function makeFolder({ folder, clones, log }: TrialOptions, isStarter: boolean): Promise<string> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const database = new GateDatabase(join(folder, DATABASE_FILE), GATE_MIGRATIONS);
  try {
    const forge = await LocalForge.open({
      database,
      folder: join(folder, REPOSITORIES),
      log,
      onEvents: () => {},
    });
    try {
      const names = new Set<string>();
      for (const clone of clones) {
        if (names.has(clone.project))
          throw new TrialError(
            "TRIAL_REFUSED",
            `two clones are of project ${clone.project}: name one NAME=PATH`,
          );
        names.add(clone.project);
        await copy(forge, clone);
      }
      const trusted = clones.filter(({ isConfigProject }) => isConfigProject).map(({ project }) => project);
      if (isStarter) {
        const name = names.has(CONFIG_PROJECT) ? `${CONFIG_PROJECT}-of-the-trial` : CONFIG_PROJECT;
        await forge.createProject(name);
        await commitFiles(forge.gitDir(name), "main", STARTER_CONFIG_FILES, "Pipelines and the base job");
        trusted.push(name);
      }
      forge.users.add(USER, "operator");
      const source = {
        "config-projects": trusted,
        "untrusted-projects": [...names].filter((name) => !trusted.includes(name)),
      };
      const tenant = { name: "trial", "self-approval": true, source: { local: source } };
      // JSON is YAML.
      writeFileSync(join(folder, GATE_FILE), JSON.stringify([{ tenant }], null, 2));
      return forge.users.createToken(USER).text;
    } finally {
      await forge.close();
    }
  } finally {
    database.close();
  }
}

/** A project with the branches of a clone as they are merged. */
async function copy(forge: LocalForge, clone: TrialClone): Promise<void> {
  const branches = await mergedBranches(clone);
  await forge.createProject(clone.project, { branches });
  const gitDir = forge.gitDir(clone.project);
  const refs = branches.map((name) => `+${clone.merged}${name}:refs/heads/${name}`);
  await git(["fetch", "--quiet", "--no-auto-gc", "--no-write-fetch-head", clone.path, ...refs], {
    gitDir,
    env: { GIT_ALLOW_PROTOCOL: "file" },
  });
  await git(["symbolic-ref", "HEAD", `refs/heads/${clone.branch}`], { gitDir });
}

/** Pushes what each clone has. @returns Numbers of all changes, in the order in which they are merged. */
async function propose(gate: Gate, clones: readonly TrialClone[], token: string): Promise<number[]> {
  const chain: number[] = [];
  for (const { project, path, branch } of clones) {
    const known = new Set(gate.forge.changes().map(({ number }) => number));
    const words = ["-C", path, "push", "--quiet", gate.forge.gitDir(project), `HEAD:refs/for/${branch}`];
    const env = { DROVER_TOKEN: token, GIT_ALLOW_PROTOCOL: "file" };
    const { exitCode, stderr } = await git(words, { env, allow: [0, 1] });
    if (exitCode !== 0) throw new TrialError("TRIAL_REFUSED", `${path}: ${refusal(stderr)}`);
    const made = gate.forge.changes().map(({ number }) => number);
    chain.push(...made.filter((number) => !known.has(number)).sort((a, b) => a - b));
  }
  return chain;
}

function refusal(stderr: string): string {
  const lines = stderr.split("\n").filter((line) => /rejected|remote:/.test(line));
  return (lines.length === 0 ? stderr : lines.join(" | ")).trim();
}

/** Each needs the one before it, and nothing that only the real gate knows. */
function enter(gate: Gate, chain: readonly number[], pipeline: string): void {
  const user = gate.forge.users.find(USER)!;
  const { pipelines } = gate.scheduler.status();
  const merges = pipelines.find(({ name }) => name === pipeline)?.manager === "dependent";
  for (const [at, number] of chain.entries()) {
    if (merges) gate.forge.approve(number, user);
    const record = gate.forge.record(number)!;
    const before = at === 0 ? undefined : gate.forge.record(chain[at - 1]!)!;
    const needs =
      before === undefined ? [] : [{ source: before.id, change: before.id, revision: null, problem: null }];
    gate.scheduler.tellNow({ kind: "change", change: { ...record, needs } });
    for (const { name } of pipelines) gate.dequeue(record.id, name);
    // Elsewhere those ahead are merged underneath, and are not tried themselves.
    if (!merges && at < chain.length - 1) continue;
    const { isTaken, done } = gate.enqueue(record, pipeline, { ignoreRequirements: true });
    if (!isTaken) throw new TrialError("TRIAL_REFUSED", `it does not enter ${pipeline}: ${done.join("; ")}`);
  }
}
