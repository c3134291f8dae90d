import type { GateEffect, GateEvent, ItemStatus, JobGraph } from "../../../packages/gate/src/core/index.ts";
import { ensure } from "../violation.ts";

type JobStatus = ItemStatus["jobs"][number];

/**
 * Says whether jobs wait for what they require of changes ahead, and get it. What they get is decided when nodes are asked for
 * the first time: a run that is tried again, or was lost, gets the same, whoever has come to be ahead of it since.
 */
export class ProviderJudge {
  /** By buildset and job: the build that was asked for last, and what it is to get. */
  readonly #last = new Map<string, { readonly build: number; readonly providers: string }>();
  readonly #lost = new Set<number>();
  /** By build that was asked for: those that it has to get. */
  readonly #owed = new Map<number, readonly number[]>();

  step(
    events: readonly GateEvent[],
    effects: readonly GateEffect[],
    items: ReadonlyMap<number, ItemStatus>,
    pipelineOf: (item: number) => string | undefined,
    graphOf: (buildset: number) => JobGraph | null,
  ): void {
    // After a restart what was asked for before is asked for again.
    const isAnew = events.some(({ kind }) => kind === "restarted");
    const asked = new Map<number, string>(
      effects.flatMap((effect) =>
        effect.kind === "requestNodes" && !isAnew
          ? [[effect.build, JSON.stringify(effect.providers ?? [])] as const]
          : [],
      ),
    );
    for (const event of events)
      if (event.kind === "ended" && event.result.kind === "lost") this.#lost.add(event.build);
    const provides = (item: ItemStatus, job: JobStatus): readonly string[] =>
      wordsOf(item, job, graphOf)?.provides ?? [];
    for (const item of items.values()) {
      for (const job of item.jobs) {
        if (job.build === null || !asked.has(job.build) || job.state !== "queued") continue;
        const key = `${item.buildset} ${job.name}`;
        const last = this.#last.get(key);
        const providers = asked.get(job.build)!;
        this.#last.set(key, { build: job.build, providers });
        const isSame = last?.providers === providers;
        ensure(job.attempt === 1 || isSame, "requires", () => `build ${job.build} is tried on other terms`);
        if (job.attempt > 1 || (isSame && this.#lost.has(last.build))) {
          this.#owed.set(job.build, this.#owed.get(last!.build) ?? []);
          continue;
        }
        const requires = wordsOf(item, job, graphOf)?.requires ?? [];
        if (requires.length === 0) continue;
        const owed: number[] = [];
        for (const ahead of aheadOf(item, items, pipelineOf)) {
          for (const other of ahead.jobs) {
            if (!provides(ahead, other).some((tag) => requires.includes(tag))) continue;
            const isThere = other.state === "paused" || other.result === "SUCCESS";
            const say = () =>
              `${job.name} of ${item.subject.id} starts, and ${other.name} of ${ahead.subject.id}`;
            ensure(isThere, "requires", () => `${say()} that it requires is ${other.result ?? other.state}`);
            if (other.build !== null) owed.push(other.build);
          }
        }
        this.#owed.set(job.build, owed);
      }
    }
    for (const effect of effects) {
      if (effect.kind !== "startBuild") continue;
      for (const owed of this.#owed.get(effect.build) ?? []) {
        const isGiven = effect.providers?.includes(owed) === true;
        ensure(isGiven, "requires", () => `build ${effect.build} does not get what build ${owed} made`);
      }
    }
  }
}

function wordsOf(
  { buildset }: ItemStatus,
  { name }: JobStatus,
  graphOf: (buildset: number) => JobGraph | null,
): JobGraph["jobs"][number] | undefined {
  return buildset === null ? undefined : graphOf(buildset)?.jobs.find((job) => job.name === name);
}

/** Those that an item is tested on top of, where they are tested themselves in its pipeline. */
function aheadOf(
  item: ItemStatus,
  items: ReadonlyMap<number, ItemStatus>,
  pipelineOf: (item: number) => string | undefined,
): ItemStatus[] {
  const found: ItemStatus[] = [];
  for (let at = item.itemAhead; at !== null; ) {
    const ahead = items.get(at)!;
    if (ahead.live) found.push(ahead);
    else {
      const same = [...items.values()].find(
        ({ id, live, subject }) =>
          live &&
          pipelineOf(id) === pipelineOf(item.id) &&
          subject.id === ahead.subject.id &&
          JSON.stringify(subject) === JSON.stringify(ahead.subject),
      );
      if (same !== undefined) found.push(same);
    }
    at = ahead.itemAhead;
  }
  return found;
}
