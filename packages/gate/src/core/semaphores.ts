import type { BuildId } from "./events.ts";
import { dependantsOf, readinessOf } from "./job-graph.ts";
import { isPaused } from "./pausing.ts";
import { listed, subjectName } from "./reasons.ts";
import { type Gate, type JobRun, markDirty } from "./state.ts";

/*
 * Semaphores: how many builds of all pipelines may do at a time what they name. One that is not declared has room for one.
 *
 * A build holds all semaphores of its job or none. It takes them before it asks for nodes, or, if one of them says
 * `resources-first`, once it has its nodes. So nobody holds one while it waits for another; and as whoever has its nodes takes
 * them from those that still wait for nodes, nobody holds nodes while it waits for one that waits for nodes.
 */

/** Builds that hold each semaphore. */
export class Holders {
  readonly #of = new Map<string, Set<BuildId>>();

  add(name: string, build: BuildId): void {
    const builds = this.#of.get(name) ?? new Set();
    this.#of.set(name, builds.add(build));
  }

  remove(name: string, build: BuildId): void {
    const builds = this.#of.get(name);
    builds?.delete(build);
    if (builds?.size === 0) this.#of.delete(name);
  }

  count(name: string): number {
    return this.#of.get(name)?.size ?? 0;
  }

  /** Oldest first. */
  of(name: string): BuildId[] {
    return [...(this.#of.get(name) ?? [])].sort((a, b) => a - b);
  }

  names(): Iterable<string> {
    return this.#of.keys();
  }
}

/** Room of a semaphore that nobody declares. */
const UNDECLARED = 1;

export function capacityOf({ layout }: Gate, name: string): number {
  return layout.semaphores?.get(name) ?? UNDECLARED;
}

/** Whether a job wants its semaphores only once it has its nodes. */
function isResourcesFirst({ job }: JobRun): boolean {
  return job.semaphores?.some(({ resourcesFirst }) => resourcesFirst) ?? false;
}

/** What a job needs and its build does not hold. */
export function missing({ job, held }: JobRun): string[] {
  return (job.semaphores ?? []).map(({ name }) => name).filter((name) => !held.includes(name));
}

/** What keeps a job from asking for nodes; `null`: nothing does. */
export function lacksBeforeNodes(gate: Gate, run: JobRun): string | null {
  return isResourcesFirst(run) && !isHeldByPaused(gate, run) ? null : lackOf(gate, run);
}

/** Whether what it lacks is held by a paused build, whose dependants may need the nodes that this one would wait with. */
export function isHeldByPaused(gate: Gate, run: JobRun): boolean {
  return missing(run).some(
    (name) => roomOf(gate, name) <= 0 && holdersOf(gate, name).some((holder) => isPaused(holder)),
  );
}

/** Has those looked at that have their nodes and wait for what a build holds. */
export function tellWaiting(gate: Gate, { held }: JobRun): void {
  if (held.length > 0) wake(gate, new Set(held));
}

/** Whether a job depends on one that holds semaphores, as far as it is paused. */
export function isOwnHolder(holder: JobRun, run: JobRun): boolean {
  return holder.buildset === run.buildset && dependantsOf(holder).includes(run);
}

/** Whether a job lacks what is held by jobs that it depends on, which are paused until it has ended. */
export function waitsForItself(gate: Gate, run: JobRun): boolean {
  return missing(run).some((name) => {
    const own = holdersOf(gate, name).filter((holder) => isOwnHolder(holder, run));
    return own.length >= capacityOf(gate, name);
  });
}

/** For a build that has just asked for nodes. */
export function takeBeforeNodes(gate: Gate, run: JobRun): void {
  if (!isResourcesFirst(run)) hold(gate, run);
}

/**
 * For a build that has its nodes: takes what its job needs, all of it or nothing.
 * @returns What it has to wait for; `null`: it holds them.
 */
export function takeWithNodes(gate: Gate, run: JobRun): string | null {
  // There may be less room than when it took them.
  if (run.held.some((name) => roomOf(gate, name) < 0)) giveBack(gate, run);
  const names = missing(run);
  if (names.length === 0) return null;
  const others = (name: string): JobRun[] => holdersOf(gate, name).filter(({ state }) => state === "queued");
  const lack = lackOf(gate, run, (name) => others(name).length);
  if (lack !== null) {
    giveBack(gate, run);
    return lack;
  }
  for (const name of names) {
    while (roomOf(gate, name) <= 0) {
      const last = others(name).at(-1)!;
      giveBack(gate, last);
      last.reason = `waits for nodes; ${describe(run)} has its own, and took semaphore ${name} from it`;
    }
  }
  hold(gate, run);
  return null;
}

/** Frees what a build holds, and has those looked at that wait for it. */
export function giveBack(gate: Gate, run: JobRun): void {
  if (run.held.length === 0) return;
  const names = new Set(run.held);
  for (const name of names) gate.holders.remove(name, run.build!);
  run.held = [];
  wake(gate, names);
}

function wake(gate: Gate, names: ReadonlySet<string>): void {
  for (const { item, jobs } of gate.buildsets.values()) {
    for (const { state, job } of jobs.values()) {
      if (state !== "waiting" && state !== "granted") continue;
      if (job.semaphores?.some(({ name }) => names.has(name))) markDirty(gate, item);
    }
  }
}

/** Enters what a build holds, as it was written down. */
export function index(gate: Gate, run: JobRun): void {
  for (const name of run.held) gate.holders.add(name, run.build!);
}

function hold(gate: Gate, run: JobRun): void {
  const names = missing(run);
  if (names.length === 0) return;
  run.held = [...run.held, ...names];
  index(gate, run);
}

/** Oldest first. */
export function holdersOf(gate: Gate, name: string): JobRun[] {
  return gate.holders.of(name).flatMap((build) => gate.builds.get(build) ?? []);
}

/** May be less than nothing, after a reconfiguration. */
function roomOf(gate: Gate, name: string): number {
  return capacityOf(gate, name) - gate.holders.count(name);
}

/** @param more What others would have to give up, by name. */
function lackOf(gate: Gate, run: JobRun, more: (name: string) => number = () => 0): string | null {
  for (const name of missing(run)) {
    if (roomOf(gate, name) + more(name) > 0) continue;
    return `waits for semaphore ${name}, which ${listed(holdersOf(gate, name).map(describe))} ${
      gate.holders.count(name) === 1 ? "holds" : "hold"
    }`;
  }
  return null;
}

function describe({ job, buildset }: JobRun): string {
  return `job ${job.name} of ${subjectName(buildset.item)}`;
}

/** A semaphore as it is shown. */
export interface SemaphoreStatus {
  readonly name: string;
  /** Builds that may hold it at a time. */
  readonly max: number;
  /** Oldest first. */
  readonly holders: readonly SemaphoreUser[];
  /** Those that could start but for this or another semaphore, in no order. */
  readonly waiting: readonly SemaphoreUser[];
}

export interface SemaphoreUser {
  readonly build: BuildId | null;
  readonly job: string;
  readonly subject: string;
  readonly pipeline: string;
}

/** Those that are declared, held or waited for, by name. */
export function semaphoresOf(gate: Gate): SemaphoreStatus[] {
  const waiting = new Map<string, SemaphoreUser[]>();
  for (const { jobs } of gate.buildsets.values()) {
    for (const run of jobs.values()) {
      const isNext = run.state === "waiting" && readinessOf(run, jobs).kind === "ready";
      if ((!isNext && run.state !== "granted") || lackOf(gate, run) === null) continue;
      for (const name of missing(run)) {
        const users = waiting.get(name) ?? [];
        waiting.set(name, users);
        users.push(userOf(run));
      }
    }
  }
  const names = new Set([
    ...(gate.layout.semaphores?.keys() ?? []),
    ...gate.holders.names(),
    ...waiting.keys(),
  ]);
  return [...names].sort().map((name) => ({
    name,
    max: capacityOf(gate, name),
    holders: holdersOf(gate, name).map(userOf),
    waiting: waiting.get(name) ?? [],
  }));
}

function userOf({ build, job, buildset }: JobRun): SemaphoreUser {
  const { subject, pipeline } = buildset.item;
  return { build, job: job.name, subject: subject.id, pipeline: pipeline.rules.name };
}
