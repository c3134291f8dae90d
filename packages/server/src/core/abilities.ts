import type { JobFunction } from "./function.ts";
import type { Priority } from "./job.ts";
import type { Peer } from "./peer.ts";
import { ReadyQueue } from "./ready-queue.ts";

/**
 * The functions that one or more workers offer, in the order they were registered. Workers with equal abilities
 * share one set, so that a function turning ready costs O(distinct sets), and a grab never looks at a worker's
 * functions: the rings say which of them are ready.
 */
export class AbilitySet {
  /** Functions by place; null where one was withdrawn. */
  readonly functions: (JobFunction | null)[] = [];
  /** Index of this set at each function, by place of the function here. */
  readonly backPlaces: number[] = [];
  readonly places = new Map<JobFunction, number>();
  readonly ready: readonly [ReadyQueue, ReadyQueue, ReadyQueue] = [
    new ReadyQueue(),
    new ReadyQueue(),
    new ReadyQueue(),
  ];
  /** Workers that have exactly these abilities. */
  workers = 0;
  /** Sum of the functions' ids, mixed: equal sets have equal hashes, whatever was added and removed before. */
  hash = 0;
  /** Whether others may find and share it. */
  interned = false;
  /** Sleeping workers, the one longest asleep first. */
  firstSleeper: Peer | null = null;
  lastSleeper: Peer | null = null;

  get size(): number {
    return this.places.size;
  }

  add(fn: JobFunction): void {
    const place = this.functions.length;
    this.functions.push(fn);
    this.places.set(fn, place);
    this.backPlaces.push(fn.addSet(this, place));
    this.hash = (this.hash + mix(fn.name)) | 0;
    for (let priority = 0; priority < 3; priority++) {
      if ((fn.ready & (1 << priority)) !== 0) this.ready[priority as Priority].add(place);
    }
  }

  remove(fn: JobFunction): void {
    const place = this.places.get(fn)!;
    this.places.delete(fn);
    this.functions[place] = null;
    this.hash = (this.hash - mix(fn.name)) | 0;
    for (const queue of this.ready) queue.delete(place);
    fn.removeSet(this.backPlaces[place]!);
    if (this.functions.length > 32 && this.functions.length > 2 * this.places.size) this.#compact();
  }

  /** Takes the set out of its functions; it must not be used any more. */
  dissolve(): void {
    for (const [fn, place] of this.places) fn.removeSet(this.backPlaces[place]!);
    this.places.clear();
  }

  equals(other: AbilitySet): boolean {
    if (this.size !== other.size || this.hash !== other.hash) return false;
    const theirs = other.places.keys();
    // A Map keeps the order of insertion, which is the order of registration.
    for (const fn of this.places.keys()) if (theirs.next().value !== fn) return false;
    return true;
  }

  /** The next ready function in turn at the most urgent priority that has one, or null. */
  nextReady(): JobFunction | null {
    for (const queue of this.ready) {
      const place = queue.next();
      if (place >= 0) return this.functions[place]!;
    }
    return null;
  }

  /** Some ready function, without taking its turn, or null. */
  peekReady(): JobFunction | null {
    for (const queue of this.ready) {
      const place = queue.peek();
      if (place >= 0) return this.functions[place]!;
    }
    return null;
  }

  #compact(): void {
    const functions = [...this.places.keys()];
    this.dissolve();
    this.functions.length = 0;
    this.backPlaces.length = 0;
    this.hash = 0;
    for (const queue of this.ready) queue.clear();
    for (const fn of functions) this.add(fn);
  }
}

/** FNV-1a of the name, so that hashes do not depend on the order in which functions became known. */
function mix(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return hash;
}

/**
 * Keeps equal ability sets one. A worker that changes its abilities gets a set of its own, which is compared with
 * the known ones when it grabs or sleeps next: registering n functions costs O(n), not O(n²).
 */
export class AbilitySets {
  readonly #byHash = new Map<number, AbilitySet[]>();

  /** The worker's set, to be changed: its own, or a copy if it is shared. */
  own(peer: Peer): AbilitySet {
    const set = peer.abilities;
    if (set === null) {
      peer.abilities = new AbilitySet();
      peer.abilities.workers = 1;
      return peer.abilities;
    }
    if (set.workers === 1) {
      this.#forget(set);
      return set;
    }
    const copy = new AbilitySet();
    for (const fn of set.places.keys()) copy.add(fn);
    copy.workers = 1;
    set.workers--;
    peer.abilities = copy;
    return copy;
  }

  /** The worker's set, shared with all workers of equal abilities; null when it has none. */
  settle(peer: Peer): AbilitySet | null {
    const set = peer.abilities;
    if (set === null || set.interned) return set;
    const same = this.#byHash.get(set.hash);
    for (const known of same ?? []) {
      if (!known.equals(set)) continue;
      set.dissolve();
      known.workers++;
      peer.abilities = known;
      return known;
    }
    if (same === undefined) this.#byHash.set(set.hash, [set]);
    else same.push(set);
    set.interned = true;
    return set;
  }

  /** The worker gives up all its abilities. */
  leave(peer: Peer): void {
    const set = peer.abilities;
    if (set === null) return;
    peer.abilities = null;
    set.workers--;
    if (set.workers > 0) return;
    this.#forget(set);
    set.dissolve();
  }

  #forget(set: AbilitySet): void {
    if (!set.interned) return;
    set.interned = false;
    const same = this.#byHash.get(set.hash)!;
    if (same.length === 1) this.#byHash.delete(set.hash);
    else same.splice(same.indexOf(set), 1);
  }
}
