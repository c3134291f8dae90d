import { bytesOf } from "@drover/protocol";
import type { AbilitySet } from "./abilities.ts";
import { type Job, JobList, type Priority } from "./job.ts";
import type { FunctionSettings } from "./limits.ts";
import type { Peer } from "./peer.ts";

/** A function: its queues, the ability sets that offer it, and its counts. */
export class JobFunction {
  readonly name: string;
  readonly nameBytes: Uint8Array;
  settings: FunctionSettings;
  /** Administrator's `maxqueue`, which wins over the settings; null while not given. */
  maxQueue: readonly [number, number, number] | null = null;
  paused = false;
  /** Waiting jobs by priority. */
  readonly queues: readonly [JobList, JobList, JobList] = [new JobList(), new JobList(), new JobList()];
  /** Jobs in any state: what gearmand's `status` calls total. */
  total = 0;
  queued = 0;
  delayed = 0;
  running = 0;
  /** Runs whose timeout has passed while their worker goes on; they hold slots of `maxRunning`. */
  overruns = 0;
  /** Connections that registered it. */
  workers = 0;
  /** Workers woken for it that have not grabbed yet. */
  wakes = 0;
  /** How many workers to wake at least at the end of the turn; -1 = it is not to be looked at then. */
  pendingWake = -1;
  /** `Sleepers.generation` at the last search that found nobody: no need to search again before it changes. */
  searchedGeneration = -1;
  /** Ability sets that contain it, and its place in each. */
  readonly sets: AbilitySet[] = [];
  readonly places: number[] = [];
  /** Priorities at which the sets know it as ready, as bits. */
  ready = 0;
  /** Created by an administrator: stays even when idle. */
  pinned = false;
  /** No longer known under its name: whoever remembers it must look it up again. */
  forgotten = false;
  /** Since the start, for people and metrics. */
  readonly counts = { submissions: 0, joins: 0, runs: 0, completed: 0, failed: 0, lost: 0 };

  constructor(name: string, settings: FunctionSettings) {
    this.name = name;
    this.nameBytes = bytesOf(name);
    this.settings = settings;
  }

  /** Jobs that a worker could be given now. */
  get runnable(): number {
    if (this.paused) return 0;
    const limit = this.settings.maxRunning;
    if (limit === 0) return this.queued;
    return Math.max(0, Math.min(this.queued, limit - this.running - this.overruns));
  }

  /** Limit of the total for a submission of this priority; 0 = none. */
  queueLimit(priority: Priority): number {
    return (this.maxQueue ?? this.settings.maxQueue)[priority];
  }

  /** Puts a job into its queue: last, or first when it goes back after its worker was lost. */
  enqueue(job: Job, first: boolean): void {
    const queue = this.queues[job.priority];
    if (first) queue.prepend(job);
    else queue.append(job);
    this.queued++;
    this.updateReadiness();
  }

  dequeue(job: Job): void {
    this.queues[job.priority].remove(job);
    this.queued--;
    this.updateReadiness();
  }

  /**
   * Tells the ability sets when a priority became ready or stopped being so. To be called after any change of
   * queues, running, overruns, limits or `paused`. Costs O(1), or O(sets that contain it) when readiness changed.
   */
  updateReadiness(): void {
    const { queues, ready: before } = this;
    let now = 0;
    if (this.queued > 0 && this.runnable > 0) {
      if (queues[0].head !== null) now |= 1;
      if (queues[1].head !== null) now |= 2;
      if (queues[2].head !== null) now |= 4;
    }
    const changed = now ^ before;
    if (changed === 0) return;
    this.ready = now;
    const { sets, places } = this;
    for (let i = 0; i < sets.length; i++) {
      for (let priority = 0; priority < 3; priority++) {
        const bit = 1 << priority;
        if ((changed & bit) === 0) continue;
        const queue = sets[i]!.ready[priority as Priority];
        if ((now & bit) !== 0) queue.add(places[i]!);
        else queue.delete(places[i]!);
      }
    }
  }

  /** Whether nothing would be lost by forgetting it. */
  get isIdle(): boolean {
    if (this.pinned || this.paused || this.maxQueue !== null) return false;
    return this.total === 0 && this.workers === 0 && this.overruns === 0;
  }
}

/** A run that ended for its job by a timeout or a cancel, while the worker has not reported yet. */
export interface Overrun {
  readonly fn: JobFunction;
  readonly worker: Peer;
}
