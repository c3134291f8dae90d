import type { ChangeId } from "./change.ts";
import type { FrozenJob, JobGraph } from "./layout.ts";

/* The jobs of a cycle: each of its changes has its own list, and what is the same may run once for several. */

/** A job as one of the changes wants it. */
export interface WantedJob {
  readonly change: ChangeId;
  readonly job: FrozenJob;
}

/** The name of a job in the graph of a cycle; no two jobs there have one. */
export function jobNameIn(job: string, changes: readonly ChangeId[]): string {
  const names =
    changes.length === 1 ? changes[0]! : `${changes.slice(0, -1).join(", ")} and ${changes.at(-1)}`;
  return `${job} of ${names}`;
}

/**
 * One graph of the graphs of a cycle's changes.
 * @param isSame Whether a job that one change wants is the same as that of an earlier one, and is to run once for both. It
 * does only if the same is true of every job that it depends on.
 */
export function cycleGraph(
  graphs: readonly { readonly change: ChangeId; readonly graph: JobGraph }[],
  isSame: (earlier: WantedJob, later: WantedJob) => boolean,
): JobGraph {
  const runs: { readonly of: WantedJob; readonly changes: ChangeId[] }[] = [];
  const runOf = new Map<string, (typeof runs)[number]>();
  const keyOf = (change: ChangeId, name: string): string => `${change}\n${name}`;
  for (const { change, graph } of graphs) {
    for (const job of inOrder(graph)) {
      const wanted = { change, job };
      const run = runs.find(({ of, changes }) => {
        if (of.job.name !== job.name || changes.includes(change) || !isSame(of, wanted)) return false;
        return job.dependencies.every(({ name }) => {
          return runOf.get(keyOf(change, name)) === runOf.get(keyOf(of.change, name));
        });
      });
      if (run === undefined) runs.push({ of: wanted, changes: [change] });
      else run.changes.push(change);
      runOf.set(keyOf(change, job.name), run ?? runs.at(-1)!);
    }
  }
  const nameOf = ({ of, changes }: (typeof runs)[number]): string => jobNameIn(of.job.name, changes);
  const jobs = runs.map((run): FrozenJob => {
    const { change, job } = run.of;
    const dependencies = job.dependencies.map(({ name, soft }) => {
      const needed = runOf.get(keyOf(change, name));
      return { name: needed === undefined ? jobNameIn(name, [change]) : nameOf(needed), soft };
    });
    return { ...job, name: nameOf(run), dependencies, of: { job: job.name, changes: run.changes } };
  });
  return { jobs, failFast: graphs.some(({ graph }) => graph.failFast) };
}

/** Each after what it depends on, where that can be; else as they were. */
function inOrder({ jobs }: JobGraph): FrozenJob[] {
  const left = new Map(jobs.map((job) => [job.name, job]));
  const ordered: FrozenJob[] = [];
  for (let size = -1; size !== left.size; ) {
    size = left.size;
    for (const job of [...left.values()]) {
      if (job.dependencies.some(({ name }) => left.has(name))) continue;
      left.delete(job.name);
      ordered.push(job);
    }
  }
  return [...ordered, ...left.values()];
}
