import { stateName } from "./extensions.ts";
import type { JobFunction } from "./function.ts";
import { dueMsOf, type Job, type PastRun, PRIORITY_NAMES, type Run } from "./job.ts";
import type { Peer } from "./peer.ts";
import type { ServerState } from "./state.ts";
import { shownUnique } from "./uniques.ts";

/*
 * Lists of what the server knows, as copies: no caller gets hold of what the core changes. Names are byte strings, times are
 * on the wall clock. A list is bounded by the caller's `limit`, and the work for it by the number of what it is about.
 */

export type PriorityName = (typeof PRIORITY_NAMES)[number];

/** A function with its levels now and its counts since the start. */
export interface FunctionView {
  readonly name: string;
  readonly queued: number;
  readonly delayed: number;
  readonly running: number;
  readonly workers: number;
  readonly paused: boolean;
  readonly submissions: number;
  readonly joins: number;
  readonly runs: number;
  readonly completed: number;
  readonly failed: number;
  readonly lost: number;
  /** For how long its first job has waited. */
  readonly oldestQueuedMs: number;
}

export function functionView(fn: JobFunction, nowMs: number): FunctionView {
  const { name, queued, delayed, running, workers, paused } = fn;
  const { submissions, joins, runs, completed, failed, lost } = fn;
  return {
    name,
    queued,
    delayed,
    running,
    workers,
    paused,
    submissions,
    joins,
    runs,
    completed,
    failed,
    lost,
    oldestQueuedMs: Math.round(fn.oldestQueuedMs(nowMs)),
  };
}

/** A function by its name, or null. */
export function viewFunction(state: ServerState, name: string): FunctionView | null {
  const fn = state.functions.get(name);
  return fn === undefined ? null : functionView(fn, state.nowMs);
}

/** Orders of functions: by name, or by one of their numbers, the largest first. */
export const FUNCTION_ORDERS = [
  "name",
  "queued",
  "delayed",
  "running",
  "workers",
  "submissions",
  "joins",
  "runs",
  "completed",
  "failed",
  "lost",
] as const;
export type FunctionOrder = (typeof FUNCTION_ORDERS)[number];

/** Where a list of functions goes on: behind this one. */
export interface FunctionPlace {
  /** Its number in an order by number, else 0. */
  readonly value: number;
  readonly name: string;
}

export interface FunctionQuery {
  /** Part of the name, in any case of letters; empty = all. */
  readonly contains: string;
  readonly order: FunctionOrder;
  readonly after: FunctionPlace | null;
  readonly limit: number;
}

/** Functions in an order, at most `limit`, and where the next ones are, or null. */
export function listFunctions(
  state: ServerState,
  { contains, order, after, limit }: FunctionQuery,
): { readonly functions: readonly FunctionView[]; readonly next: FunctionPlace | null } {
  const wanted = contains.toLowerCase();
  // The first ones in order; one more shows whether there are others.
  const first: FunctionPlace[] = [];
  for (const fn of state.functions.values()) {
    const place = { value: order === "name" ? 0 : fn[order], name: fn.name };
    if (after !== null && !isBefore(after, place)) continue;
    if (first.length > limit && !isBefore(place, first[limit]!)) continue;
    if (wanted !== "" && !fn.name.toLowerCase().includes(wanted)) continue;
    first.splice(rank(first, place), 0, place);
    if (first.length > limit + 1) first.pop();
  }
  const shown = first.slice(0, limit);
  return {
    functions: shown.map(({ name }) => functionView(state.functions.get(name)!, state.nowMs)),
    next: first.length > limit ? shown[limit - 1]! : null,
  };
}

function isBefore(a: FunctionPlace, b: FunctionPlace): boolean {
  return a.value === b.value ? a.name < b.name : a.value > b.value;
}

function rank(places: readonly FunctionPlace[], place: FunctionPlace): number {
  let low = 0;
  let high = places.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isBefore(places[middle]!, place)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** A live job in a list. */
export interface JobRow {
  readonly number: number;
  readonly handle: string;
  readonly fn: string;
  readonly unique: string;
  readonly state: string;
  readonly priority: PriorityName;
  /** A background submission claims it. */
  readonly background: boolean;
  /** Foreground submissions that wait for it. */
  readonly waiting: number;
  readonly attempts: number;
  readonly createdMs: number;
  /** When it is or was due; 0 = it never had to wait for a time. */
  readonly dueMs: number;
  readonly workloadBytes: number;
  /** Number of the worker's connection, or null while it does not run. */
  readonly worker: number | null;
}

function jobRow(state: ServerState, job: Job): JobRow {
  return {
    number: job.number,
    handle: state.handles.text(job.number),
    fn: job.fn.name,
    unique: shownUnique(job.key),
    state: stateName(job),
    priority: PRIORITY_NAMES[job.priority],
    background: job.isClaimed,
    waiting: job.submissionCount,
    attempts: job.attempts,
    createdMs: wallMsOf(state, job.createdMs),
    dueMs: dueMsOf(job),
    workloadBytes: job.workloadBytes,
    worker: job.run?.worker.id ?? null,
  };
}

/** Jobs looked at for one list: of a function with few of very many jobs it may give none, and where to go on. */
export const MAX_SCANNED_JOBS = 100_000;

/**
 * Jobs of a function, those submitted first first.
 * @param from The first number to look at.
 * @returns at most `limit` of them, and the number to go on from, or null at the end.
 */
export function listJobs(
  state: ServerState,
  name: string,
  from: number,
  limit: number,
): { readonly jobs: readonly JobRow[]; readonly next: number | null } {
  const jobs: JobRow[] = [];
  const fn = state.functions.get(name);
  if (fn === undefined || fn.total + fn.forwarded === 0) return { jobs, next: null };
  let scanned = 0;
  for (const job of state.jobs.from(from)) {
    if (jobs.length === limit || scanned++ === MAX_SCANNED_JOBS) return { jobs, next: job.number };
    if (job.fn === fn) jobs.push(jobRow(state, job));
  }
  return { jobs, next: null };
}

/** Jobs that live under a unique, of whatever function, at most `limit`, successors too. */
export function listJobsOfUnique(state: ServerState, unique: string, limit: number): readonly JobRow[] {
  const found: JobRow[] = [];
  for (const job of state.uniques.all(unique)) {
    if (found.length < limit) found.push(jobRow(state, job));
    const successor = job.rare?.successor ?? null;
    if (successor !== null && found.length < limit) found.push(jobRow(state, successor));
  }
  return found;
}

/** How a background job ended, in a list. */
export interface OutcomeRow {
  readonly handle: string;
  readonly fn: string;
  readonly unique: string;
  /** `done`, `failed` or `dead`. */
  readonly state: string;
  readonly endedMs: number;
}

/** How background jobs of a unique ended, of whatever function, the newest first. */
export function listOutcomesOfUnique(state: ServerState, unique: string, limit: number): OutcomeRow[] {
  return state.outcomes
    .ofKey(unique, state.wallMs, limit)
    .map(({ fn, key, number, state: ended, endedMs }) => ({
      handle: state.handles.text(number),
      fn: fn.name,
      unique: shownUnique(key),
      state: ended,
      endedMs,
    }));
}

/** A connection as a person would know it. */
export interface PeerView {
  readonly id: number;
  readonly address: string;
  readonly client: string;
}

function peerView({ id, address, clientId }: Peer): PeerView {
  return { id, address, client: clientId };
}

/** All of a live job that its page shows. */
export interface JobDetail extends JobRow {
  /** The first of those who wait for it. */
  readonly submitters: readonly { readonly peer: PeerView; readonly sinceMs: number }[];
  readonly run: {
    readonly worker: PeerView;
    readonly startedMs: number;
    /** When the worker's timeout passes; 0 = it has none. */
    readonly timeoutMs: number;
    readonly numerator: string;
    readonly denominator: string;
    /** Reports kept for late joiners. */
    readonly historyBytes: number;
    /** Not all reports are kept: nobody can join the run any more. */
    readonly outgrown: boolean;
  } | null;
  readonly pastRuns: readonly PastRun[];
  /** The job that waits for this one to end, as a handle, or null. */
  readonly successor: string | null;
}

/** A live job with at most `limit` of its submitters, or null. */
export function jobDetail(state: ServerState, number: number, limit: number): JobDetail | null {
  const job = state.jobs.get(number);
  if (job === undefined) return null;
  const submitters: { peer: PeerView; sinceMs: number }[] = [];
  for (let one = job.submissions; one !== null && submitters.length < limit; one = one.nextOfJob) {
    submitters.push({ peer: peerView(one.peer), sinceMs: wallMsOf(state, one.sinceMs) });
  }
  const successor = job.rare?.successor ?? null;
  return {
    ...jobRow(state, job),
    submitters,
    run: job.run === null ? null : runView(state, job.run),
    pastRuns: (job.rare?.pastRuns ?? []).map((past) => ({
      ...past,
      startedMs: wallMsOf(state, past.startedMs),
      endedMs: wallMsOf(state, past.endedMs),
    })),
    successor: successor === null ? null : state.handles.text(successor.number),
  };
}

function runView(state: ServerState, run: Run): JobDetail["run"] {
  return {
    worker: peerView(run.worker),
    startedMs: wallMsOf(state, run.startedMs),
    timeoutMs: run.heapIndex < 0 ? 0 : wallMsOf(state, run.atMs),
    numerator: run.numerator ?? "0",
    denominator: run.denominator ?? "0",
    historyBytes: run.historyBytes,
    outgrown: run.outgrown,
  };
}

/** A connection that can do functions, or does jobs. */
export interface WorkerView extends PeerView {
  readonly state: "awake" | "asleep" | "woken";
  readonly abilities: number;
  /** The first of its functions. */
  readonly functions: readonly string[];
  readonly running: number;
  /** The first of its jobs. */
  readonly jobs: readonly { readonly handle: string; readonly fn: string; readonly startedMs: number }[];
}

/** Functions and jobs shown of one worker. */
const SHOWN_OF_WORKER = 20;
/** By `WorkerState`. */
const WORKER_STATES = ["awake", "asleep", "woken"] as const;

/**
 * Workers in the order in which they connected.
 * @param after Number of a connection, behind which the list begins.
 * @returns at most `limit` of them, and behind which to go on, or null at the end.
 */
export function listWorkers(
  state: ServerState,
  after: number,
  limit: number,
): { readonly workers: readonly WorkerView[]; readonly next: number | null } {
  const workers: WorkerView[] = [];
  for (const peer of state.peers) {
    if (peer.id <= after || !isWorker(peer)) continue;
    if (workers.length === limit) return { workers, next: workers[limit - 1]!.id };
    workers.push(workerView(state, peer));
  }
  return { workers, next: null };
}

export function countWorkers(state: ServerState): number {
  let count = 0;
  for (const peer of state.peers) if (isWorker(peer)) count++;
  return count;
}

function isWorker(peer: Peer): boolean {
  return peer.abilities !== null || peer.runs !== null;
}

function workerView(state: ServerState, peer: Peer): WorkerView {
  const functions: string[] = [];
  for (const fn of peer.abilities?.places.keys() ?? []) {
    if (functions.length === SHOWN_OF_WORKER) break;
    functions.push(fn.name);
  }
  const jobs: { handle: string; fn: string; startedMs: number }[] = [];
  for (let run = peer.runs; run !== null && jobs.length < SHOWN_OF_WORKER; run = run.next) {
    const { number, fn } = run.job;
    jobs.push({
      handle: state.handles.text(number),
      fn: fn.name,
      startedMs: wallMsOf(state, run.startedMs),
    });
  }
  return {
    ...peerView(peer),
    state: WORKER_STATES[peer.workerState],
    abilities: peer.abilities?.size ?? 0,
    functions,
    running: peer.runCount,
    jobs,
  };
}

/** A dead letter without its workload. */
export interface DeadLetterView {
  readonly number: number;
  readonly handle: string;
  readonly fn: string;
  readonly unique: string;
  readonly reason: string;
  readonly attempts: number;
  readonly priority: PriorityName;
  readonly diedMs: number;
  readonly workloadBytes: number;
}

/** Dead letters, the newest first, from the one behind `after` on. */
export function listDeadLetters(
  state: ServerState,
  query: {
    readonly after: { readonly diedMs: number; readonly number: number } | null;
    readonly limit: number;
    /** Byte strings; null = any. */
    readonly fn?: string | null;
    readonly unique?: string | null;
  },
): { readonly letters: readonly DeadLetterView[]; readonly more: boolean } {
  const { after, limit, fn = null, unique = null } = query;
  const found = [...state.deadLetters.values()].filter(
    (letter) =>
      (fn === null || letter.fn === fn) &&
      (unique === null || letter.key === unique) &&
      (after === null ||
        letter.diedMs < after.diedMs ||
        (letter.diedMs === after.diedMs && letter.number < after.number)),
  );
  found.sort((a, b) => b.diedMs - a.diedMs || b.number - a.number);
  const letters = found
    .slice(0, limit)
    .map(({ number, fn, key, reason, attempts, priority, diedMs, workload }) => ({
      number,
      handle: state.handles.text(number),
      fn,
      unique: shownUnique(key),
      reason,
      attempts,
      priority: PRIORITY_NAMES[priority],
      diedMs,
      workloadBytes: workload.length,
    }));
  return { letters, more: found.length > limit };
}

/** Levels now and counts since the start, of all functions together. */
export interface Totals {
  readonly submissions: number;
  readonly joins: number;
  readonly runs: number;
  readonly completed: number;
  readonly failed: number;
  readonly lost: number;
  readonly jobs: number;
  /** Jobs that neither run nor wait for a time. */
  readonly queued: number;
  readonly delayed: number;
  readonly running: number;
  readonly waitingSubmissions: number;
  readonly functions: number;
  readonly connections: number;
  readonly deadLetters: number;
  /** Changes that the store does not have yet. */
  readonly unstored: number;
  readonly storeFails: boolean;
}

/** Costs O(1). */
export function totals(state: ServerState): Totals {
  const { submissions, joins, runs, completed, failed, lost } = state.counts;
  const jobs = state.jobs.size;
  const delayed = state.dueJobs.size;
  return {
    submissions,
    joins,
    runs,
    completed,
    failed,
    lost,
    jobs,
    queued: Math.max(0, jobs - delayed - state.running),
    delayed,
    running: state.running,
    waitingSubmissions: state.submissionCount,
    functions: state.functions.size,
    connections: state.peers.size,
    deadLetters: state.deadLetters.size,
    unstored: state.journal?.length ?? 0,
    storeFails: state.storeFails,
  };
}

/** The wall clock's reading when the forward clock read `ms`. */
function wallMsOf(state: ServerState, ms: number): number {
  return Math.round(state.wallMs - (state.nowMs - ms));
}
