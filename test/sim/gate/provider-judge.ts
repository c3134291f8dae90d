import type { GateEffect, GateEvent, ItemStatus, JobGraph } from "../../../packages/gate/src/core/index.ts";
import { ensure } from "../violation.ts";

type JobStatus = ItemStatus["jobs"][number];

interface Asked {
  readonly build: number;
  readonly requires: string;
  readonly providers: string;
}

/**
 * Says whether jobs wait for what they require of changes ahead, and get it. What they get is decided when nodes are asked for
 * the first time: a run that is tried again gets the same, whoever has come to be ahead of it since, or has merged.
 */
export class ProviderJudge {
  /** By buildset and job: what was asked for last. */
  readonly #last = new Map<string, Asked>();
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
    const provides = (item: ItemStatus, job: JobStatus): readonly string[] =>
      wordsOf(item, job, graphOf)?.provides ?? [];
    for (const item of items.values()) {
      for (const job of item.jobs) {
        if (job.build === null || !asked.has(job.build) || job.state !== "queued") continue;
        const { requires = [] } = wordsOf(item, job, graphOf) ?? {};
        if (this.#isAgain(item, job, requires, asked.get(job.build)!)) continue;
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

  /** Whether a build is asked for on the terms of one before it. Only where it requires something else now it may be on others. */
  #isAgain(
    { buildset }: ItemStatus,
    { name, build, attempt }: JobStatus,
    requires: readonly string[],
    providers: string,
  ): boolean {
    const key = `${buildset} ${name}`;
    const last = this.#last.get(key);
    const now = { build: build!, requires: JSON.stringify(requires), providers };
    this.#last.set(key, now);
    if (last?.requires !== now.requires) return false;
    const isSame = last.providers === providers;
    ensure(attempt === 1 || isSame, "requires", () => `build ${build} is tried on other terms`);
    if (isSame) this.#owed.set(now.build, this.#owed.get(last.build) ?? []);
    return isSame;
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
