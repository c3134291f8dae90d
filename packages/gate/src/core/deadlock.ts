import { end, obstacleOf, requestNodes, startOnNodes, withdraw } from "./builds.ts";
import { dependantsOf, readinessOf } from "./job-graph.ts";
import { isPaused, resetDependants } from "./pausing.ts";
import { provisionOf } from "./providing.ts";
import { note } from "./reasons.ts";
import { capacityOf, holdersOf, isOwnHolder, missing } from "./semaphores.ts";
import { type Buildset, type Gate, type JobRun, markDirty } from "./state.ts";

/*
 * Paused builds hold semaphores while the jobs that depend on them wait for others: two of them can wait for each other for
 * ever. Then the one that stands later gives way: its build begins again, after the other.
 */

/** @returns Whether there was one, which is broken now. */
export function breakDeadlock(gate: Gate): boolean {
  const paused = [...gate.builds.values()].filter((run) => isPaused(run) && run.held.length > 0);
  if (paused.length === 0) return false;
  const buildsets =
    gate.requiring.size > 0 ? gate.buildsets.values() : paused.map(({ buildset }) => buildset);
  const stuck = stuckRuns(gate, new Set(buildsets));
  const waiting = [...stuck].filter((run) => missing(run).length > 0 && waitsForSemaphores(gate, run));
  const [first] = waiting.sort(byPlace);
  if (first === undefined) return false;
  let gaveWay = false;
  for (const name of missing(first)) {
    const victims = holdersOf(gate, name)
      .filter((run) => stuck.has(run) && !isOwnHolder(run, first))
      .sort(byPlace);
    while (holdersOf(gate, name).length >= capacityOf(gate, name)) {
      const victim = victims.pop();
      if (victim === undefined) return gaveWay;
      giveWay(gate, victim, first);
      gaveWay = true;
    }
  }
  if (first.state === "granted") startOnNodes(gate, first);
  else requestNodes(gate, first);
  return true;
}

/** As the pass goes through them. */
function byPlace({ buildset: { item: a } }: JobRun, { buildset: { item: b } }: JobRun): number {
  return a.queue.serial - b.queue.serial || a.order - b.order;
}

function giveWay(gate: Gate, victim: JobRun, first: JobRun): void {
  const { item } = victim.buildset;
  const other = `job ${first.job.name} of ${first.buildset.item.subject.id}`;
  const why = `gave its semaphores to ${other}: the two waited for each other`;
  note(
    gate,
    item,
    `job ${victim.job.name} ${victim.failing === null ? "begins again" : "has failed"}: it ${why}`,
  );
  resetDependants(gate, victim);
  withdraw(gate, victim);
  if (victim.failing !== null) {
    // What is behind was told so, and does not come back.
    end(gate, victim, "FAILURE", victim.failing);
    return;
  }
  victim.state = "waiting";
  victim.reason = why;
  victim.childJobs = null;
  markDirty(gate, item);
}

function waitsForSemaphores(gate: Gate, run: JobRun): boolean {
  if (run.state === "granted") return !gate.isPaused;
  const { item, jobs } = run.buildset;
  if (run.state !== "waiting" || readinessOf(run, jobs).kind !== "ready") return false;
  return obstacleOf(gate, item) === null && provisionOf(gate, run).kind === "ready";
}

/** What will never end, of these buildsets: all else is taken to end. */
function stuckRuns(gate: Gate, buildsets: ReadonlySet<Buildset>): Set<JobRun> {
  const stuck = new Set<JobRun>();
  for (const { jobs } of buildsets)
    for (const run of jobs.values()) if (run.state !== "ended") stuck.add(run);
  const ends = (run: JobRun): boolean => {
    if (run.state === "paused") return !dependantsOf(run).some((other) => stuck.has(other));
    if (run.state !== "waiting" && run.state !== "granted") return true;
    const { jobs } = run.buildset;
    const parents = run.job.dependencies.map(({ name }) => jobs.get(name));
    if (parents.some((parent) => parent !== undefined && !isPaused(parent) && stuck.has(parent)))
      return false;
    const provision = run.state === "waiting" ? provisionOf(gate, run) : null;
    if (provision?.kind === "wait" && provision.run !== null && stuck.has(provision.run)) return false;
    return missing(run).every(
      (name) => holdersOf(gate, name).filter((one) => stuck.has(one)).length < capacityOf(gate, name),
    );
  };
  for (let size = -1; size !== stuck.size; ) {
    size = stuck.size;
    for (const run of [...stuck]) if (ends(run)) stuck.delete(run);
  }
  return stuck;
}
