import type { AbilitySet } from "./abilities.ts";
import { FunctionTimes } from "./function-times.ts";
import { type Job, JobList, type Priority } from "./job.ts";
import type { FunctionSettings } from "./limits.ts";
import type { Peer } from "./peer.ts";

/**
 * A function: its queues, the ability sets that offer it, and its counts.
 *
 * All that a job touches stands in this one object: with thousands of functions each part of its own is memory that is
 * not in the processor's cache, three times a job (bench/README.md).
 */
export class JobFunction {
  readonly name: string;
  /** Its own, or those of all that have none. */
  readonly times: FunctionTimes;
  settings: FunctionSettings;
  /** Administrator's `maxqueue`, which wins over the settings; null while not given. */
  maxQueue: readonly [number, number, number] | null = null;
  paused = false;
  /** No longer known under its name: whoever remembers it must look it up again. */
  forgotten = false;
  /** Created by an administrator: stays even when idle. */
  pinned = false;
  /** Jobs in any state: what gearmand's `status` calls total. */
  total = 0;
  /** Jobs that stand for those of other servers of the fleet; not in `total`. */
  forwarded = 0;
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
  /** `ServerState.sleepGeneration` at the last search that found nobody: no need to search again before it changes. */
  searchedGeneration = -1;
  /** Priorities at which the sets know it as ready, as bits. */
  ready = 0;
  /** Since the start, for people and metrics. */
  submissions = 0;
  joins = 0;
  runs = 0;
  completed = 0;
  failed = 0;
  lost = 0;
  /** Waiting jobs by priority, each from the first one on: nearly all functions have one of the three. */
  #high: JobList | null = null;
  #normal: JobList | null = null;
  #low: JobList | null = null;
  /** The ability sets that contain it and its place in each: the first, as most have no other, and the others. */
  #set: AbilitySet | null = null;
  #place = 0;
  #moreSets: AbilitySet[] | null = null;
  #morePlaces: number[] | null = null;

  constructor(name: string, settings: FunctionSettings, times = new FunctionTimes()) {
    this.name = name;
    this.settings = settings;
    this.times = times;
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

  /** The first waiting job of a priority, or null. */
  first(priority: Priority): Job | null {
    const queue = this.#queueIfAny(priority);
    return queue === null ? null : queue.head;
  }

  /** For how long the job has waited that has waited longest, in milliseconds; 0 when none waits. */
  oldestQueuedMs(nowMs: number): number {
    if (this.queued === 0) return 0;
    let sinceMs = nowMs;
    for (const priority of [0, 1, 2] as const) {
      sinceMs = Math.min(sinceMs, this.first(priority)?.queuedMs ?? nowMs);
    }
    return nowMs - sinceMs;
  }

  /** How many jobs of a priority wait. */
  waiting(priority: Priority): number {
    return this.#queueIfAny(priority)?.length ?? 0;
  }

  #queueIfAny(priority: Priority): JobList | null {
    return priority === 0 ? this.#high : priority === 1 ? this.#normal : this.#low;
  }

  /** The waiting job whose turn it is, which there must be. */
  get next(): Job {
    return (this.first(0) ?? this.first(1) ?? this.first(2))!;
  }

  /** The queue of a priority, made on demand. */
  queue(priority: Priority): JobList {
    if (priority === 0) {
      this.#high ??= new JobList();
      return this.#high;
    }
    if (priority === 1) {
      this.#normal ??= new JobList();
      return this.#normal;
    }
    this.#low ??= new JobList();
    return this.#low;
  }

  /** Puts a job into its queue: last, or first when it goes back after its worker was lost. */
  enqueue(job: Job, first: boolean): void {
    const queue = this.queue(job.priority);
    if (first) queue.prepend(job);
    else queue.append(job);
    this.queued++;
    this.updateReadiness();
  }

  dequeue(job: Job): void {
    this.queue(job.priority).remove(job);
    this.queued--;
    this.updateReadiness();
  }

  /** How many ability sets contain it. */
  get setCount(): number {
    if (this.#set === null) return 0;
    return this.#moreSets === null ? 1 : 1 + this.#moreSets.length;
  }

  /** One of the ability sets that contain it, from 0 on. */
  setAt(index: number): AbilitySet {
    return index === 0 ? this.#set! : this.#moreSets![index - 1]!;
  }

  /** The place of the function in the set of this index. */
  placeAt(index: number): number {
    return index === 0 ? this.#place : this.#morePlaces![index - 1]!;
  }

  /** Notes that the set has the function at `place`. @returns the index of the set here. */
  addSet(set: AbilitySet, place: number): number {
    if (this.#set === null) {
      this.#set = set;
      this.#place = place;
      return 0;
    }
    this.#moreSets ??= [];
    this.#morePlaces ??= [];
    this.#moreSets.push(set);
    return this.#morePlaces.push(place);
  }

  /** Forgets the set of this index. The last one takes its index, which that set must be told. */
  removeSet(index: number): void {
    const last = this.setCount - 1;
    const set = this.setAt(last);
    const place = this.placeAt(last);
    if (last === 0) {
      this.#set = null;
    } else {
      this.#moreSets!.pop();
      this.#morePlaces!.pop();
    }
    if (index === last) return;
    if (index === 0) {
      this.#set = set;
      this.#place = place;
    } else {
      this.#moreSets![index - 1] = set;
      this.#morePlaces![index - 1] = place;
    }
    set.backPlaces[place] = index;
  }

  /**
   * Tells the ability sets when a priority became ready or stopped being so. To be called after any change of
   * queues, running, overruns, limits or `paused`. Costs O(1), or O(sets that contain it) when readiness changed.
   */
  updateReadiness(): void {
    let now = 0;
    if (this.queued > 0 && this.runnable > 0) {
      if (this.first(0) !== null) now |= 1;
      if (this.first(1) !== null) now |= 2;
      if (this.first(2) !== null) now |= 4;
    }
    const changed = now ^ this.ready;
    if (changed === 0) return;
    this.ready = now;
    const sets = this.setCount;
    for (let i = 0; i < sets; i++) {
      const { ready } = this.setAt(i);
      for (let priority = 0; priority < 3; priority++) {
        const bit = 1 << priority;
        if ((changed & bit) === 0) continue;
        if ((now & bit) !== 0) ready[priority as Priority].add(this.placeAt(i));
        else ready[priority as Priority].delete(this.placeAt(i));
      }
    }
  }

  /** Whether nothing would be lost by forgetting it. */
  get isIdle(): boolean {
    if (this.pinned || this.paused || this.maxQueue !== null) return false;
    return this.total === 0 && this.forwarded === 0 && this.workers === 0 && this.overruns === 0;
  }
}

/** A run that ended for its job by a timeout or a cancel, while the worker has not reported yet. */
export interface Overrun {
  readonly fn: JobFunction;
  readonly worker: Peer;
}
