import type { GateEffect, GateEvent, ItemStatus, JobGraph } from "../../../packages/gate/src/core/index.ts";
import { ensure } from "../violation.ts";

type JobStatus = ItemStatus["jobs"][number];

/** Says whether paused builds outlive what depends on them, and whether that begins when it may. */
export class PauseJudge {
  /** As they were shown last, by build. */
  #before = new Map<number, { readonly item: number; readonly job: JobStatus }>();

  step(
    events: readonly GateEvent[],
    effects: readonly GateEffect[],
    items: ReadonlyMap<number, ItemStatus>,
    graphOf: (buildset: number) => JobGraph | null,
  ): void {
    const isAnew = events.some(({ kind }) => kind === "frozen" || kind === "restarted");
    const shown = new Map<number, { readonly item: number; readonly job: JobStatus }>();
    for (const { id, jobs } of items.values())
      for (const job of jobs) if (job.build !== null) shown.set(job.build, { item: id, job });
    // What a new configuration says was not so when they were asked for.
    for (const effect of isAnew ? [] : effects) {
      if (effect.kind === "requestNodes") this.#mayStart(effect.build, items, shown);
      const found = effect.kind === "resumeBuild" ? shown.get(effect.build) : undefined;
      // In the same step it may have been cancelled.
      if (effect.kind !== "resumeBuild" || found === undefined) continue;
      const isOver =
        found.job.state === "ended" ||
        below(items.get(found.item)!, found.job.name).every(({ state }) => state === "ended");
      ensure(isOver, "pause", () => `build ${effect.build} goes on before what depends on it has ended`);
    }
    // It has gone on, or has other dependants, before it was lost.
    const wentOn = new Set(events.map((event) => (event.kind === "nodes" ? event.build : null)));
    for (const event of events) {
      if (event.kind !== "ended" || event.result.kind === "final" || wentOn.has(event.build)) continue;
      if (!isAnew) this.#lost(event.build, items, graphOf);
    }
    this.#before = shown;
  }

  #mayStart(
    build: number,
    items: ReadonlyMap<number, ItemStatus>,
    shown: ReadonlyMap<number, { readonly item: number; readonly job: JobStatus }>,
  ): void {
    const found = shown.get(build);
    if (found?.job.state !== "queued") return;
    const { jobs } = items.get(found.item)!;
    for (const name of found.job.dependencies) {
      const parent = jobs.find((job) => job.name === name);
      const isThere = parent === undefined || parent.state === "ended" || parent.state === "paused";
      ensure(isThere, "pause", () => `build ${build} is asked for while ${name} before it has not ended`);
    }
  }

  /** What depended on a paused build begins again with it. */
  #lost(
    build: number,
    items: ReadonlyMap<number, ItemStatus>,
    graphOf: (buildset: number) => JobGraph | null,
  ): void {
    const before = this.#before.get(build);
    if (before?.job.state !== "paused") return;
    const item = items.get(before.item);
    const now = item?.jobs.find(({ name }) => name === before.job.name);
    if (item?.buildset == null || graphOf(item.buildset) === null || now === undefined) return;
    if (now.build === build && now.state === "ended") return;
    for (const { name, build: other } of below(item, before.job.name)) {
      const isOld = other !== null && this.#before.get(other)?.item === item.id;
      ensure(!isOld, "pause", () => `${name} keeps build ${other} though ${before.job.name} is lost`);
    }
  }
}

/** The jobs of an item that depend on one, directly or not. */
function below({ jobs }: ItemStatus, name: string): JobStatus[] {
  const names = new Set([name]);
  for (let size = 0; size !== names.size; ) {
    size = names.size;
    for (const job of jobs) if (job.dependencies.some((needed) => names.has(needed))) names.add(job.name);
  }
  names.delete(name);
  return jobs.filter((job) => names.has(job.name));
}
