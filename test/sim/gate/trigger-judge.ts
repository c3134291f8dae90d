import type {
  Change,
  CoreLayout,
  CoreStatus,
  GateEffect,
  ItemStatus,
} from "../../../packages/gate/src/core/index.ts";
import { ensure } from "../violation.ts";

/** The pipeline that others are triggered by. */
const GATE = "gate";

/** Says whether what happens in the gate pipeline starts the pipelines that are triggered by it. */
export class TriggerJudge {
  /** Live items of the gate pipeline, as they were after the step before. */
  #before = new Map<number, ItemStatus>();
  /** Changes that were in a pipeline or waited for it then, by its name. */
  #there = new Map<string, ReadonlySet<string>>();
  /** Changes that were open then. */
  #open: ReadonlySet<string> = new Set();
  /** What each change needed then. */
  #needs: ReadonlyMap<string, Change["needs"]> = new Map();

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
    const entered = new Set(
      now.filter(({ id }) => !this.#before.has(id)).flatMap(({ members }) => members.map(({ id }) => id)),
    );
    const mergedProjects = new Set<string>();
    for (const effect of effects) {
      const isMerged = effect.kind === "report" && effect.pipeline === GATE && effect.what === "success";
      if (isMerged && this.#before.get(effect.item)?.isLanding) mergedProjects.add(effect.subject.project);
    }
    const inGate = new Set(now.flatMap(({ members }) => members.map(({ id }) => id)));
    const open = [...changes.values()].filter(({ state }) => state === "open");
    for (const { name, triggers } of layout.pipelines) {
      const isOfParents = triggers?.parentEnqueued?.includes(GATE) ?? false;
      const wanted = open.filter(
        (change) =>
          (isOfParents &&
            // What it has come to need in this very step it may have come to need after that had entered.
            isSame(this.#needs.get(change.id), change.needs) &&
            change.needs.some((need) => need.change !== null && entered.has(need.change))) ||
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
    this.#needs = new Map(open.map(({ id, needs }) => [id, needs]));
  }
}

const isSame = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
