import type {
  Change,
  CoreLayout,
  CoreStatus,
  GateCore,
  GateEffect,
  GateEvent,
  ItemStatus,
} from "../../../packages/gate/src/core/index.ts";
import { ensure } from "../violation.ts";

/** The pipeline that others are triggered by. */
const GATE = "gate";

type Needs = ReadonlyMap<string, Change["needs"]>;

/** Who was in the gate pipeline at some moment, and what the core knew then. */
interface Moment {
  /** Of each live item, its changes. */
  readonly items: ReadonlyMap<number, readonly string[]>;
  /** Of open changes. */
  readonly needs: Needs;
}

/**
 * Says whether what happens in the gate pipeline starts the pipelines that are triggered by it.
 *
 * Whoever needs a change when it enters is offered, as in Zuul, which looks for them then: who comes to need it afterwards
 * is not, even if that is told in the same batch. So where a batch changes what is needed, the core is looked at between
 * any two of its events.
 */
export class TriggerJudge {
  /** Live items of the gate pipeline, as they were after the step before. */
  #before = new Map<number, ItemStatus>();
  /** Changes that were in a pipeline or waited for it then, by its name. */
  #there = new Map<string, ReadonlySet<string>>();
  /** Changes that were open then. */
  #open: ReadonlySet<string> = new Set();
  /** What each open change needed then. */
  #needs: Needs = new Map();
  /** Of the batch that is being taken, in their order. */
  #moments: Moment[] = [];

  /** The events of a batch as the core is to take them. */
  watched(events: readonly GateEvent[], core: GateCore): readonly GateEvent[] {
    this.#moments = [];
    if (events.length === 1 || !events.some((event) => this.#isNewNeed(event))) return events;
    const look = (): void => {
      this.#moments.push(momentOf(core));
    };
    function* looking(): Generator<GateEvent> {
      for (const event of events) {
        look();
        yield event;
      }
    }
    return Object.defineProperty([...events], Symbol.iterator, { value: looking });
  }

  #isNewNeed(event: GateEvent): boolean {
    return event.kind === "change" && !isSame(this.#needs.get(event.change.id) ?? [], event.change.needs);
  }

  /** The changes whose parents have entered since the step before. */
  #offered(last: Moment): Set<string> {
    const offered = new Set<string>();
    const seen = new Set(this.#before.keys());
    for (const { items, needs } of [...this.#moments, last]) {
      const entered = new Set<string>();
      for (const [id, members] of items) {
        if (!seen.has(id)) for (const member of members) entered.add(member);
        seen.add(id);
      }
      for (const [id, needed] of needs)
        if (needed.some(({ change }) => change !== null && entered.has(change))) offered.add(id);
    }
    return offered;
  }

  /** @param changes As the core was told of them last. */
  step(
    effects: readonly GateEffect[],
    { pipelines }: CoreStatus,
    layout: CoreLayout,
    changes: ReadonlyMap<string, Change>,
  ): void {
    const itemsOf = (wanted: string): ItemStatus[] =>
      (pipelines.find(({ name }) => name === wanted)?.queues ?? [])
        .flatMap(({ items }) => items)
        .filter(({ live }) => live);
    const now = itemsOf(GATE);
    const mergedProjects = new Set<string>();
    for (const effect of effects) {
      const isMerged = effect.kind === "report" && effect.pipeline === GATE && effect.what === "success";
      if (isMerged && this.#before.get(effect.item)?.isLanding) mergedProjects.add(effect.subject.project);
    }
    const open = [...changes.values()].filter(({ state }) => state === "open");
    const needs = new Map(open.map((change) => [change.id, change.needs]));
    const items = new Map(now.map(({ id, members }) => [id, members.map((member) => member.id)]));
    const inGate = new Set([...items.values()].flat());
    // Who entered the gate and left it in one step left the pipelines that the gate supersedes.
    for (const effect of effects)
      if (effect.kind === "report" && effect.pipeline === GATE && !this.#before.has(effect.item))
        inGate.add(effect.subject.id);
    const ofParents = this.#offered({ items, needs });
    for (const { name, triggers } of layout.pipelines) {
      const isOfParents = triggers?.parentEnqueued?.includes(GATE) ?? false;
      const wanted = open.filter(
        (change) =>
          (isOfParents && ofParents.has(change.id)) ||
          (triggers?.projectMerged === true &&
            mergedProjects.has(change.project) &&
            this.#open.has(change.id)),
      );
      const there = new Set(itemsOf(name).flatMap(({ members }) => members.map(({ id }) => id)));
      for (const { change } of pipelines.find((one) => one.name === name)?.waiting ?? []) there.add(change);
      for (const { id } of wanted) {
        // What was there may have ended in the same step.
        const wasThere = this.#there.get(name)?.has(id) ?? false;
        const wasOffered = there.has(id) || inGate.has(id) || wasThere;
        ensure(wasOffered, "triggers", () => `${id} was not offered to ${name}`);
      }
      this.#there.set(name, there);
    }
    this.#before = new Map(now.map((item) => [item.id, item]));
    this.#open = new Set(open.map(({ id }) => id));
    this.#needs = needs;
  }
}

function momentOf(core: GateCore): Moment {
  const { queues, changes } = core.snapshot();
  const live = queues
    .filter(({ pipeline }) => pipeline === GATE)
    .flatMap(({ items }) => items)
    .filter((item) => item.live);
  return {
    items: new Map(live.map(({ id, subject, members = [subject] }) => [id, members.map((one) => one.id)])),
    needs: new Map(changes.changes.map(({ id, needs }) => [id, needs])),
  };
}

const isSame = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
