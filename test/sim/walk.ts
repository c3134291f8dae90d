import {
  type Job,
  type JobFunction,
  type JobServerCore,
  JobState,
  type Peer,
  type Run,
  type ServerState,
  type Submission,
  WorkerState,
} from "../../packages/server/src/core/index.ts";
import { workersOf } from "./naive/admin.ts";
import type { NaiveState, Phase } from "./naive/state.ts";
import { ensure } from "./violation.ts";

/*
 * A walk through everything the server holds: each count must be what counting gives, each list whole, each level
 * within its limit, and all of it what the naive server holds.
 */

const PHASES: Readonly<Record<JobState, Phase>> = {
  [JobState.QUEUED]: "queued",
  [JobState.RUNNING]: "running",
  [JobState.DELAYED]: "delayed",
  [JobState.WAITING]: "waiting",
  [JobState.CANCELLING]: "cancelling",
  [JobState.ENDED]: "ended",
  // Without a store nothing waits for one.
  [JobState.COMMITTING]: "ended",
};

/** @throws Violation when anything is not as it must be. */
export function walk(core: JobServerCore, naive: NaiveState): void {
  const { state } = core;
  same("jobs", state.jobs.size, naive.jobs.size);
  same("connections", state.peers.size, naive.peers.size);
  for (const job of state.jobs.values()) walkJob(state, naive, job);
  for (const fn of state.functions.values()) walkFunction(state, naive, fn);
  for (const peer of state.peers) walkPeer(core, peer);
  walkTotals(state, naive);
  walkTables(state, naive);
  walkLimits(state);
}

function same(what: string, has: unknown, should: unknown): void {
  ensure(has === should, "counts", () => `${what}: ${String(has)} instead of ${String(should)}`);
}

function walkJob(state: ServerState, naive: NaiveState, job: Job): void {
  const model = naive.jobs.get(job.number);
  const handle = state.handles.text(job.number);
  ensure(model !== undefined, "model", () => `${handle} is unknown to the model`);
  const context = (what: string) => `${what} of ${handle}`;
  same(context("state"), PHASES[job.state], model.phase);
  same(context("priority"), job.priority, model.priority);
  same(context("claim"), job.claimed, model.claimed);
  same(context("attempts"), job.attempts, model.attempts);
  same(context("key"), job.key, model.key);
  same(context("workload"), job.workloadBytes, model.workload.length);
  same(context("function"), state.functions.get(model.fn.name), job.fn);
  same(context("run"), job.run !== null, job.state === JobState.RUNNING || job.state === JobState.CANCELLING);
  if (job.run !== null) {
    same(context("run's job"), job.run.job, job);
    same(context("worker"), job.run.worker.id, model.run?.worker.id);
    same(context("history"), job.run.historyBytes, model.run?.historyBytes);
    const bytes = (job.run.history ?? []).reduce((sum, packet) => sum + packet.length, 0);
    same(context("history's bytes"), bytes, job.run.historyBytes);
  }
  const successor = job.rare?.successor ?? null;
  same(context("successor"), successor?.number, model.successor?.number);
  if (successor !== null) {
    same(context("successor's state"), successor.state, JobState.WAITING);
    same(context("successor's successor"), successor.rare?.successor ?? null, null);
    same(context("successor"), state.jobs.get(successor.number), successor);
  }
  let count = 0;
  let last: Submission | null = null;
  for (let at = job.submissions; at !== null; at = at.nextOfJob) {
    same(context("submission's job"), at.job, job);
    if (last !== null) same(context("list of submissions"), at.previousOfJob, last);
    same(context("submission's peer"), at.peer.id, model.submissions[count]?.peer.id);
    last = at;
    count++;
  }
  if (job.submissions !== null) same(context("last submission"), job.submissions.previousOfJob, last);
  same(context("submissions"), count, job.submissionCount);
  same(context("submissions"), count, model.submissions.length);
}

function walkFunction(state: ServerState, naive: NaiveState, fn: JobFunction): void {
  const model = naive.functionOf(fn.name);
  const context = (what: string) => `${what} of ${fn.name}`;
  let queued = 0;
  for (const priority of [0, 1, 2] as const) {
    const queue = fn.queue(priority);
    let count = 0;
    let last: Job | null = null;
    for (let job = queue.head; job !== null; job = job.next) {
      same(context("list of jobs"), job.previous, last);
      same(context("queued job"), state.jobs.get(job.number), job);
      same(context("queue"), job.number, model.queues[priority][count]?.number);
      last = job;
      count++;
    }
    same(context("tail"), queue.tail, last);
    same(context("queue length"), queue.length, count);
    same(context("queue"), count, model.queues[priority].length);
    same(context(`readiness ${priority}`), (fn.ready & (1 << priority)) !== 0, fn.runnable > 0 && count > 0);
    queued += count;
  }
  const jobs = [...state.jobs.values()].filter((job) => job.fn === fn);
  same(context("total"), fn.total, jobs.length);
  same(context("queued"), fn.queued, queued);
  same(context("delayed"), fn.delayed, jobs.filter((job) => job.state === JobState.DELAYED).length);
  same(context("running"), fn.running, jobs.filter((job) => job.run !== null).length);
  same(context("model's running"), fn.running, model.running);
  same(context("model's overruns"), fn.overruns, model.overruns);
  same(context("runnable"), fn.runnable, naive.runnable(model));
  same(context("workers"), fn.workers, workersOf(naive, model));
  same(context("paused"), fn.paused, model.paused);
  let overruns = 0;
  let wakes = 0;
  for (const peer of state.peers) {
    for (const lost of peer.overruns?.values() ?? []) if (lost.fn === fn) overruns++;
    if (peer.wokenFor === fn) {
      wakes++;
      same(context("woken worker's state"), peer.workerState, WorkerState.WOKEN);
    }
  }
  same(context("overruns"), fn.overruns, overruns);
  same(context("wakes"), fn.wakes, wakes);
  same(context("idleness"), state.idleFunctions.has(fn), fn.isIdle);
  for (let i = 0; i < fn.setCount; i++) {
    same(context("place"), fn.setAt(i).functions[fn.placeAt(i)], fn);
    same(context("back place"), fn.setAt(i).backPlaces[fn.placeAt(i)], i);
  }
}

function walkPeer(core: JobServerCore, peer: Peer): void {
  const { state } = core;
  const context = (what: string) => `${what} of connection ${peer.id}`;
  same(context("gone"), peer.gone, false);
  let count = 0;
  let last: Submission | null = null;
  for (let at = peer.submissions; at !== null; at = at.nextOfPeer) {
    same(context("list of submissions"), at.previousOfPeer, last);
    same(context("submission's job"), state.jobs.get(at.job.number), at.job);
    last = at;
    count++;
  }
  same(context("submissions"), peer.submissionCount, count);
  let runs = 0;
  let lastRun: Run | null = null;
  for (let run = peer.runs; run !== null; run = run.next) {
    same(context("list of runs"), run.previous, lastRun);
    same(context("run"), state.jobs.get(run.job.number)?.run, run);
    same(context("worker"), run.worker, peer);
    lastRun = run;
    runs++;
  }
  same(context("runs"), peer.runCount, runs);
  walkSleeper(core, peer, context);
}

function walkSleeper(core: JobServerCore, peer: Peer, context: (what: string) => string): void {
  const set = peer.abilities;
  if (peer.workerState === WorkerState.WOKEN && peer.wokenFor !== null) {
    ensure(core.nextTickMs <= peer.wakeEndsMs, "S7", () => context("the end of the wake-up is not noticed"));
  }
  if (set === null) return;
  let found = 0;
  let before: Peer | null = null;
  for (let at = set.firstSleeper; at !== null; at = at.nextSleeper) {
    same(context("list of sleepers"), at.previousSleeper, before);
    same(context("sleeper's state"), at.workerState, WorkerState.ASLEEP);
    same(context("sleeper's abilities"), at.abilities, set);
    if (before !== null) same(context("sleepers' order"), before.sleepOrder < at.sleepOrder, true);
    if (at === peer) found++;
    before = at;
  }
  same(context("last sleeper"), set.lastSleeper, before);
  same(context("places among sleepers"), found, peer.workerState === WorkerState.ASLEEP ? 1 : 0);
  let sharing = 0;
  for (const other of core.state.peers) if (other.abilities === set) sharing++;
  same(context("workers that share the abilities"), set.workers, sharing);
  for (const [fn, place] of set.places) same(context("ability"), set.functions[place], fn);
  for (const priority of [0, 1, 2] as const) {
    const place = set.ready[priority].peek();
    const ready = [...set.places.keys()].filter((fn) => (fn.ready & (1 << priority)) !== 0);
    if (place < 0) same(context("ready functions"), ready.length, 0);
    else same(context("ready function"), ready.includes(set.functions[place]!), true);
  }
}

function walkTotals(state: ServerState, naive: NaiveState): void {
  let workloadBytes = 0;
  let replayBytes = 0;
  let running = 0;
  let submissions = 0;
  let delayed = 0;
  let timed = 0;
  for (const job of state.jobs.values()) {
    workloadBytes += job.workloadBytes;
    replayBytes += job.run?.historyBytes ?? 0;
    submissions += job.submissionCount;
    if (job.run !== null) running++;
    if (job.run !== null && job.run.heapIndex >= 0) timed++;
    if (job.state === JobState.DELAYED) delayed++;
  }
  same("workload bytes", state.workloadBytes, workloadBytes);
  same("replay bytes", state.replayBytes, replayBytes);
  same("runs", state.running, running);
  same("submissions", state.submissionCount, submissions);
  same("submissions of connections", sumOfPeers(state), submissions);
  same("delayed jobs", state.dueJobs.size, delayed);
  same("timed runs", state.runTimers.size, timed);
  same("model's submissions", submissions, naive.submissionCount);
  same("model's replay bytes", replayBytes, naive.replayBytes);
  let deadlines = 0;
  for (const peer of naive.peers) {
    for (const { deadlineMs } of peer.submissions) if (deadlineMs < Number.POSITIVE_INFINITY) deadlines++;
  }
  same("deadlines", state.submissionTimers.size, deadlines);
  same("dirty connections", state.dirty.length, 0);
}

function sumOfPeers(state: ServerState): number {
  let sum = 0;
  for (const peer of state.peers) sum += peer.submissionCount;
  return sum;
}

function walkTables(state: ServerState, naive: NaiveState): void {
  for (const job of naive.table.values()) {
    const fn = state.functions.get(job.fn.name);
    ensure(fn !== undefined, "counts", () => `${job.fn.name} was forgotten while it has jobs`);
    same(`job of the unique ${job.key}`, state.uniques.get(fn, job.key)?.number, job.number);
  }
  // No unique may lead to a job that is over.
  for (const key of naive.keys) {
    const first = state.uniques.first(key);
    if (first !== undefined) same(`job of ${key}`, state.jobs.get(first.number), first);
    for (const fn of state.functions.values()) {
      const job = state.uniques.get(fn, key);
      const model = naive.table.get(`${fn.name}\0${key}`);
      same(`job of ${fn.name} ${key}`, job?.number, model?.number);
    }
  }
  const letters = [...state.deadLetters.values()].map((letter) => letter.number);
  same("dead letters", letters.join(), naive.letters.map(({ job }) => job.number).join());
  same("lingering results", state.lingering.size, naive.lingering.length);
  same("outcomes", state.outcomes.size, naive.outcomes.length);
}

/** S8: nothing grows beyond its limit. */
function walkLimits(state: ServerState): void {
  const { limits } = state;
  const within = (what: string, has: number, limit: number) =>
    ensure(has <= limit, "S8", () => `${what}: ${has}, limit ${limit}`);
  within("jobs", state.jobs.size, limits.maxJobs);
  within("submissions", state.submissionCount, limits.maxSubmissions);
  within("workload bytes", state.workloadBytes, limits.maxWorkloadBytes);
  within("replay bytes", state.replayBytes, limits.replayTotalBytes);
  within("dead letters", state.deadLetters.size, limits.maxDeadLetters);
  within("outcomes", state.outcomes.size, limits.maxOutcomes);
  for (const peer of state.peers) {
    within("unfinished bytes", peer.stream.unfinishedBytes, limits.maxPacketBytes + 12);
  }
}
