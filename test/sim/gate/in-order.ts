import type {
  CoreStatus,
  GateEffect,
  GateEvent,
  ItemStatus,
  QueueStatus,
} from "../../../packages/gate/src/core/index.ts";
import { ensure } from "../violation.ts";

/** Pipelines of the simulated layouts in which one item of a queue is worked on at a time. */
const SERIAL = "deploy";
const SUPERCEDENT = "publish";

/**
 * Says whether a serial pipeline does everything in order, one at a time, and a supercedent one only what is first and
 * what is newest.
 */
export class InOrderJudge {
  readonly #told = new Set<number>();
  /** An operator has changed the order. */
  #isPromoted = false;
  /** Items of the serial pipeline, as they were after the step before. */
  #before: readonly ItemStatus[] = [];

  step(events: readonly GateEvent[], effects: readonly GateEffect[], { pipelines }: CoreStatus): void {
    for (const effect of effects)
      if (effect.kind === "report" && effect.what !== "start") this.#told.add(effect.item);
    this.#isPromoted ||= events.some((event) => event.kind === "promote" && event.pipeline === SERIAL);
    const queuesOf = (wanted: string) => pipelines.find(({ name }) => name === wanted)?.queues ?? [];
    for (const queue of [...queuesOf(SERIAL), ...queuesOf(SUPERCEDENT)]) this.#oneAtATime(queue);
    const items = queuesOf(SERIAL).flatMap((queue) => queue.items);
    this.#nothingLost(events, items);
    this.#goesOn(events, queuesOf(SERIAL));
    this.#before = items;
    for (const { items } of queuesOf(SUPERCEDENT))
      ensure(items.length <= 2, "supercedent", () => `${items.map(({ id }) => id)} are kept`);
    const isThere = pipelines.some(({ name }) => name === SUPERCEDENT);
    if (isThere) this.#newestIsKept(events, queuesOf(SUPERCEDENT));
  }

  #oneAtATime({ name, items }: QueueStatus): void {
    items.forEach(({ id, active, buildset, jobs }, at) => {
      ensure(active === (at === 0), "serial", () => `item ${id} is at ${at} of ${name}`);
      const isStill = buildset === null && jobs.length === 0;
      ensure(at === 0 || isStill, "serial", () => `item ${id} is worked on behind another one of ${name}`);
      const isBehind = this.#isPromoted || at === 0 || items[at - 1]!.id < id;
      ensure(isBehind, "serial", () => `${name} is not in order at item ${id}`);
    });
  }

  /** An item goes when it was told of, or somebody took it out. */
  #nothingLost(events: readonly GateEvent[], items: readonly ItemStatus[]): void {
    if (events.some(({ kind }) => kind === "configured")) return;
    const now = new Set(items.map(({ id }) => id));
    const takenOut = new Set<string>();
    for (const event of events) {
      if (event.kind === "dequeue") takenOut.add(event.subject);
      else if (event.kind === "change") takenOut.add(event.change.id);
    }
    for (const { id, subject } of this.#before) {
      const isRight = now.has(id) || this.#told.has(id) || takenOut.has(subject.id);
      ensure(isRight, "serial", () => `item ${id} of ${subject.id} was left out`);
    }
  }

  /** What is worked on stays ahead of all that come. */
  #goesOn(events: readonly GateEvent[], queues: readonly QueueStatus[]): void {
    if (events.some(({ kind }) => kind === "configured")) return;
    const working = new Set(this.#before.filter(({ buildset }) => buildset !== null).map(({ id }) => id));
    for (const { name, items } of queues)
      for (const { id } of items.slice(1))
        ensure(!working.has(id), "serial", () => `item ${id} of ${name} was left half done`);
  }

  #newestIsKept(events: readonly GateEvent[], queues: readonly QueueStatus[]): void {
    const newest = new Map<string, string[]>();
    for (const event of events) {
      if (event.kind !== "offer" || typeof event.subject === "string") continue;
      if (!event.pipelines.includes(SUPERCEDENT)) continue;
      const { project, ref, id, oldCommit, newCommit } = event.subject;
      const key = `${project} ${ref}`;
      // About the branch as it is: one is enough, wherever it is, so that it comes last only where there was none.
      if (oldCommit === null && newCommit === null) newest.get(key)?.push(id);
      else newest.set(key, [id]);
    }
    for (const { items } of queues) {
      const { subject } = items.at(-1)!;
      if (subject.kind !== "ref") continue;
      const wanted = newest.get(`${subject.project} ${subject.ref}`) ?? [subject.id];
      const isNewest = wanted.includes(subject.id);
      ensure(isNewest, "supercedent", () => `${wanted} came last, and ${subject.id} is kept`);
    }
  }
}
