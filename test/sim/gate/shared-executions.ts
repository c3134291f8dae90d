import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { FrozenJobDefinition } from "../../../packages/gate/src/config/index.ts";
import type {
  ChainLink,
  GateEffect,
  GateEvent,
  JobGraph,
  MergeStep,
  RunResult,
  Subject,
} from "../../../packages/gate/src/core/index.ts";
import type { BuildOutcome, BuildRequest } from "../../../packages/gate/src/executor/index.ts";
import { REUSE_MIGRATIONS, ReuseLedger, SharingPlanner } from "../../../packages/gate/src/reuse/index.ts";
import { contentKey } from "../../../packages/gate/src/reuse/key.ts";
import { sharedRequest } from "../../../packages/gate/src/reuse/shared-request.ts";
import { buildRequest } from "../../../packages/gate/src/scheduler/build-request.ts";
import { BUILD_MIGRATIONS, type BuildRow } from "../../../packages/gate/src/scheduler/build-table.ts";
import type { Random } from "../random.ts";
import type { Forge } from "./forge.ts";
import { type BuildInputs, ReuseJudge } from "./reuse-judge.ts";

/*
 * What runs builds, where those of equal content are one execution: the gate's own keys and its own ledger, around executors, a
 * job server and repositories as small as they can be.
 */

type Effect<K extends GateEffect["kind"]> = Extract<GateEffect, { kind: K }>;
type Start = Effect<"startBuild">;

interface Execution {
  readonly id: string;
  readonly unique: string;
  /** That wait for it. */
  readonly builds: Set<number>;
  /** Whom it belongs to when nobody waits for it. */
  last: number;
}

interface Frozen {
  readonly chain: readonly ChainLink[];
  readonly steps: readonly MergeStep[];
  /** Of each project and branch, where it was. */
  readonly tips: ReadonlyMap<string, string>;
}

/** An executor or a key that is wrong in one way. */
export interface SharingTampering {
  /** What the key is made of instead. */
  readonly request?: (request: BuildRequest) => BuildRequest;
}

const BRANCHES = ["main", "stable"];
const WEEK_SEC = 7 * 86_400;

export class SharedExecutions {
  readonly #random: Random;
  readonly #forge: Forge;
  readonly #projects: readonly string[];
  readonly #tampering: SharingTampering;
  readonly judge = new ReuseJudge();
  readonly #db = new DatabaseSync(":memory:");
  readonly #ledger: ReuseLedger;
  readonly #definitions = new Map<string, FrozenJobDefinition>();
  readonly #frozen = new Map<number, Frozen>();
  readonly #graphs = new Map<number, JobGraph>();
  /** By buildset and job, the newest. */
  readonly #newest = new Map<string, number>();
  readonly #rows = new Map<number, BuildRow>();
  readonly #byUnique = new Map<string, Execution>();
  readonly #byBuild = new Map<number, Execution>();
  /** The execution that a build has, or has had; `null`: an old result. */
  readonly #executionOf = new Map<number, string | null>();
  /** Results that nobody has taken yet, as a job server keeps them. */
  readonly #lingering = new Map<string, BuildOutcome>();
  /** How builds have ended whose end is not stored yet. */
  readonly #outcomes = new Map<number, BuildOutcome | null>();
  #executions = 0;
  #nowMs = 0;

  constructor(random: Random, forge: Forge, projects: readonly string[], tampering: SharingTampering = {}) {
    this.#random = random;
    this.#forge = forge;
    this.#projects = projects;
    this.#tampering = tampering;
    for (const { sql } of [...BUILD_MIGRATIONS, ...REUSE_MIGRATIONS]) this.#db.exec(sql);
    const transaction = <T>(change: () => T): T => change();
    const statements = new Map<string, StatementSync>();
    const prepared = (sql: string): StatementSync => {
      const statement = statements.get(sql) ?? this.#db.prepare(sql);
      statements.set(sql, statement);
      return statement;
    };
    this.#ledger = new ReuseLedger({ db: this.#db, prepared, transaction });
  }

  /** Where branches are is frozen with the jobs. */
  asked(effect: GateEffect): void {
    if (effect.kind !== "freeze") return;
    const { buildset, chain, steps } = effect;
    const tips = this.#projects.flatMap((project) =>
      BRANCHES.map((branch) => [`${project} ${branch}`, this.#forge.tip(project, branch)] as const),
    );
    this.#frozen.set(buildset, { chain, steps, tips: new Map(tips) });
  }

  /** What a job is does not change: what it looks at does. */
  #definition(project: string, name: string): FrozenJobDefinition {
    const known = this.#definitions.get(`${project} ${name}`);
    if (known !== undefined) return known;
    const random = this.#random;
    const others = this.#projects.filter((other) => other !== project && random.chance(0.3));
    const definition: FrozenJobDefinition = {
      ...{
        name,
        description: null,
        voting: true,
        attempts: 3,
        dependencies: [],
        holdFollowingChanges: false,
      },
      ...{ semaphores: [], tags: [], postReview: false, timeoutSec: 60, preTimeoutSec: null },
      ...{ postTimeoutSec: null, nodeset: null, nodes: [{ names: ["node"], label: "local" }], groups: [] },
      ...{ workspaceScheme: "golang", overrideCheckout: null, preRun: [], postRun: [] },
      requiredProjects: others.map((other) => ({ name: other, overrideCheckout: null })),
      run: [{ argv: ["run", name], level: 0, trusted: false, job: name, project, branch: "main" }],
      ...{ vars: { declared: name }, extraVars: {}, network: false, inputs: [], maxAgeSec: WEEK_SEC },
      ...{ successMessage: null, failureMessage: null, failureOutput: [], inheritance: [] },
      reuse: random.chance(0.8),
      ...(random.chance(0.15) ? { secrets: { token: { project, data: {} } } } : {}),
    };
    this.#definitions.set(`${project} ${name}`, definition);
    return definition;
  }

  #commit(buildset: number, project: string, branch: string): string {
    const { chain, steps, tips } = this.#frozen.get(buildset)!;
    const last = chain.findLastIndex((link) => link.project === project && link.branch === branch);
    return steps[last]?.commit ?? tips.get(`${project} ${branch}`)!;
  }

  /** Those before it, those of its parents' parents among them, in the order of the graph. */
  #parents({ buildset, job }: Start): BuildRow[] {
    const jobs = this.#graphs.get(buildset)!.jobs;
    const wanted = new Set<string>();
    const walk = (name: string): void => {
      for (const parent of jobs.find((one) => one.name === name)?.dependencies ?? []) {
        if (wanted.has(parent.name)) continue;
        wanted.add(parent.name);
        walk(parent.name);
      }
    };
    walk(job);
    return jobs.flatMap(({ name }) => {
      const build = wanted.has(name) ? this.#newest.get(`${buildset} ${name}`) : undefined;
      return build === undefined ? [] : [this.#rows.get(build)!];
    });
  }

  /** A build begins, or is asked for again. @returns What is told of it at once; `null` when it is run for itself. */
  begin(effect: Start, hasMerged: boolean): GateEvent[] | null {
    const { build, subject } = effect;
    if (subject.kind !== "change") return null;
    let sharing = this.#ledger.of(build);
    const isNew = sharing === undefined && !this.#rows.has(build);
    if (!isNew && sharing === undefined) return null;
    if (isNew) {
      const jobs = this.#graphs.get(effect.buildset)!.jobs;
      const name = jobs.find((one) => one.name === effect.job)?.of?.job ?? effect.job;
      const definition = this.#definition(subject.project, name);
      const parents = this.#parents(effect);
      const providers = (effect.providers ?? []).flatMap((id) => this.#rows.get(id) ?? []);
      const inputs = this.#inputs(effect, definition, parents, providers);
      this.#insert(effect, name);
      const isShared = SharingPlanner.mayShare(definition, subject, hasMerged);
      const key = isShared ? this.#key(effect, subject, definition, parents, providers) : null;
      const mayShare = definition.reuse && definition.secrets === undefined && !hasMerged;
      this.judge.begins({ build, inputs, key, mayShare });
      if (key === null) return null;
      sharing = this.#ledger.begin(build, key, definition.maxAgeSec * 1_000, this.#nowMs, (unique) => {
        return this.#byUnique.get(unique)?.last ?? null;
      });
    }
    return this.#submit(build, sharing!);
  }

  #insert({ build, buildset, item, pipeline, subject, attempt, job }: Start, name: string): void {
    const row: BuildRow = {
      ...{ id: build, buildset, item, pipeline, job: name, subject, voting: true, attempt },
      ...{
        execution: null,
        result: null,
        detail: null,
        outcome: null,
        startedMs: this.#nowMs,
        endedMs: null,
      },
    };
    this.#rows.set(build, row);
    this.#newest.set(`${buildset} ${job}`, build);
    this.#db
      .prepare(
        `INSERT INTO gate_builds (id, buildset, item, pipeline, job, subject, subject_id, project, voting, attempt, started_ms)
         VALUES (?, ?, ?, ?, ?, '', ?, ?, 1, ?, ?)`,
      )
      .run(build, buildset, item, pipeline, name, subject.id, subject.project, attempt, this.#nowMs);
  }

  #inputs(
    { buildset, subject }: Start,
    { name, requiredProjects }: FrozenJobDefinition,
    parents: readonly BuildRow[],
    providers: readonly BuildRow[],
  ): BuildInputs {
    const { project, branch } = subject;
    const mounted = [...new Set([project, ...requiredProjects.map((required) => required.name)])].sort();
    const trees = mounted.map((of) => [of, this.#forge.tree(this.#commit(buildset, of, branch!))]);
    const returned = Object.assign({}, ...parents.map(({ outcome }) => outcome?.data.variables ?? {}));
    const artifactsOf = (rows: readonly BuildRow[], of: (row: BuildRow) => string) =>
      rows.flatMap((row) => (row.outcome?.artifacts ?? []).map(({ sha256 }) => `${of(row)} ${sha256}`));
    return {
      ...{ project, job: name, command: name, trees: Object.fromEntries(trees) },
      returned: Object.fromEntries(Object.entries(returned).sort(([a], [b]) => (a < b ? -1 : 1))),
      artifacts: [
        ...artifactsOf(parents, ({ job }) => job),
        ...artifactsOf(providers, ({ job, subject: of }) => `${of.project} ${job}`),
      ],
    };
  }

  #key(
    effect: Start,
    subject: Subject,
    definition: FrozenJobDefinition,
    parents: readonly BuildRow[],
    providers: readonly BuildRow[],
  ): string {
    const { chain } = this.#frozen.get(effect.buildset)!;
    const repositories = this.#projects.map((project) => {
      const branches = BRANCHES.map((name) => [name, this.#commit(effect.buildset, project, name)]);
      const facts = { branches: Object.fromEntries(branches), merged: {}, before: {}, defaultBranch: "main" };
      return [project, facts];
    });
    const frozen = {
      ...{ chain, jobs: { [effect.job]: definition }, repositories: Object.fromEntries(repositories) },
    };
    const whole = buildRequest(effect, frozen, {
      ...{ tenant: "main", buildName: `build-${effect.build}`, gitDir: (project) => `/git/${project}` },
      facts: () => ({
        ...{ number: Number(effect.build), title: subject.id, owner: null, message: subject.id },
        ...{ topic: null, url: null },
      }),
      ...{ postReview: false, keys: undefined as never, parents, providers },
    });
    const shared = sharedRequest(whole, definition, ({ branches, checkout }) => branches[checkout])!;
    const request = { ...shared, build: "" };
    return contentKey(this.#tampering.request?.(request) ?? request, {
      ...{ tenant: "main", zone: "local", trusted: [false], environment: "", groups: [], tags: {} },
      nodes: definition.nodes,
      treeOf: (_project, commit) => this.#forge.tree(commit),
    });
  }

  /** As the gate submits a build, whose unique may be there already. */
  #submit(build: number, { unique, how }: NonNullable<ReturnType<ReuseLedger["of"]>>): GateEvent[] {
    this.#executionOf.set(build, null);
    const known = this.#ledger.ended({ unique, how });
    if (known !== undefined && (how === "reused" || known.endedMs >= this.#rows.get(build)!.startedMs))
      return [this.#endedAs(build, known.outcome, how === "reused")];
    const lingering = this.#lingering.get(unique);
    if (lingering !== undefined) return [this.#endedAs(build, lingering, false)];
    let execution = this.#byUnique.get(unique);
    if (execution === undefined) {
      execution = { id: `e${++this.#executions}`, unique, builds: new Set(), last: build };
      this.#byUnique.set(unique, execution);
      this.judge.runs(execution.id, build);
    }
    execution.builds.add(build);
    execution.last = build;
    this.#byBuild.set(build, execution);
    this.#executionOf.set(build, execution.id);
    this.judge.joins(execution.id, build);
    return [];
  }

  #endedAs(build: number, outcome: BuildOutcome | null, isReused: boolean): GateEvent {
    const result: RunResult = outcome?.result ?? { kind: "lost" };
    this.#outcomes.set(build, outcome);
    if (outcome !== null)
      this.judge.told(build, outcome.execution, nameOf(result), JSON.stringify(outcome.data), isReused);
    const childJobs = outcome?.data.childJobs;
    return { kind: "ended", build, result, ...(childJobs == null ? {} : { childJobs }) };
  }

  /** Of a build that is run for itself nothing is known here. */
  knows(build: number): boolean {
    return this.#ledger.of(build) !== undefined;
  }

  /**
   * Slots that are taken: one for each execution, however many builds have it and even if none does, and one for each build that
   * has not begun yet or is run for itself.
   * @param held Builds whose nodes are not given back.
   */
  slots(held: ReadonlySet<number>): number {
    const taken = new Set<string | number>([...this.#byUnique.values()].map(({ id }) => id));
    for (const build of held) {
      const execution = this.#executionOf.get(build);
      if (execution !== null) taken.add(execution ?? build);
    }
    return taken.size;
  }

  /** The execution that a build waits for ends. @returns What is told of all of its builds. */
  end(build: number, event: GateEvent): GateEvent[] {
    const execution = this.#byBuild.get(build);
    if (execution === undefined || event.kind !== "ended") return [];
    return this.#over(execution, event.result, event.childJobs ?? null);
  }

  #over(execution: Execution, result: RunResult, childJobs: readonly string[] | null): GateEvent[] {
    const { id, unique, builds } = execution;
    const outcome = this.#outcome(id, result, childJobs);
    this.judge.ran(id, nameOf(result), JSON.stringify(outcome?.data));
    this.#byUnique.delete(unique);
    if (outcome !== null) this.#lingering.set(unique, outcome);
    for (const build of builds) this.#byBuild.delete(build);
    // Nobody has come for it, and it is on record.
    if (builds.size === 0) this.#record(execution.last, outcome);
    return [...builds].map((build) => this.#endedAs(build, outcome, false));
  }

  #outcome(execution: string, result: RunResult, childJobs: readonly string[] | null): BuildOutcome | null {
    const variables = { [`value${this.#random.below(2)}`]: this.#random.below(3) };
    const artifacts = [{ name: "made", bytes: 1, sha256: String(this.#random.below(3)) }];
    if (result.kind === "lost") return null;
    const data = {
      ...{ logUrl: null, artifacts: [], childJobs, warnings: [], comment: null, fileComments: {} },
      ...{ pause: false, retry: true, variables },
    };
    return {
      ...{ execution, result, detail: null, startedMs: 0, endedMs: this.#nowMs, steps: [], data },
      ...{ artifacts, outputBytes: 0 },
    };
  }

  /** What was told is stored, and with it how builds have ended. */
  stored(event: GateEvent): void {
    if (event.kind === "frozen" && event.result.kind === "graph")
      this.#graphs.set(event.buildset, event.result.graph);
    if (event.kind !== "ended") return;
    const { build, result } = event;
    const row = this.#rows.get(build);
    const isOpen = row?.endedMs === null;
    if (!this.#outcomes.has(build)) {
      if (isOpen && !this.knows(build)) this.#close(build, this.#outcome(`own ${build}`, result, null));
      return;
    }
    const outcome = this.#outcomes.get(build) ?? null;
    this.#outcomes.delete(build);
    if (isOpen) this.#close(build, outcome);
    this.#record(build, outcome);
  }

  #record(build: number, outcome: BuildOutcome | null): void {
    const { subject, job } = this.#rows.get(build)!;
    const result = nameOf(outcome?.result ?? { kind: "lost" });
    const of = { project: subject.project, job };
    this.#ledger.record(build, of, { result, detail: null, outcome }, this.#nowMs);
  }

  #close(build: number, outcome: BuildOutcome | null): void {
    this.#rows.set(build, { ...this.#rows.get(build)!, outcome, endedMs: this.#nowMs });
    this.#db.prepare("UPDATE gate_builds SET ended_ms = ? WHERE id = ?").run(this.#nowMs, build);
  }

  /** A build is taken back. What it shares goes on for the others, or until it is clear that nobody comes for it. */
  leave(build: number): void {
    if (!this.#rows.has(build)) return;
    this.judge.withdrawn(build);
    this.#close(build, null);
    this.#byBuild.get(build)?.builds.delete(build);
    this.#byBuild.delete(build);
  }

  /** Time passes. Of what nobody wants any more some ends by itself, and some is ended. */
  passes(nowMs: number): void {
    this.#nowMs = nowMs;
    if (!this.#random.chance(0.05)) return;
    for (const execution of [...this.#byUnique.values()]) {
      if (execution.builds.size > 0 || this.#random.chance(0.5)) continue;
      if (this.#random.chance(0.5)) this.#over(execution, { kind: "final", result: "SUCCESS" }, null);
      else this.#abort(execution, false);
    }
  }

  /** Ends what a build waits for, whoever waits for it besides. */
  abort(build: number): void {
    const execution = this.#byBuild.get(build);
    if (execution !== undefined) this.#abort(execution, false);
  }

  #abort({ id, unique, builds }: Execution, isCrash: boolean): void {
    this.#byUnique.delete(unique);
    this.judge.aborted(id, isCrash);
    for (const build of builds) this.#byBuild.delete(build);
  }

  /** The gate's process ends; in one process everything that it runs ends with it. */
  crash(oneProcess: boolean): void {
    this.#outcomes.clear();
    if (!oneProcess) {
      for (const execution of this.#byUnique.values()) {
        for (const build of execution.builds) this.#byBuild.delete(build);
        execution.builds.clear();
        this.judge.detached(execution.id);
      }
      return;
    }
    this.#lingering.clear();
    for (const execution of [...this.#byUnique.values()]) this.#abort(execution, true);
  }
}

function nameOf(result: RunResult): string {
  if (result.kind === "final") return result.result;
  return result.kind === "retry" ? "RETRY" : "LOST";
}
