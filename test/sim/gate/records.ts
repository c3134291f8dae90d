import type { GateEffect, GateEvent, JobGraph, PastProvider } from "../../../packages/gate/src/core/index.ts";

type Effect<K extends GateEffect["kind"]> = Extract<GateEffect, { kind: K }>;

interface Recorded {
  readonly build: number;
  readonly job: string;
  readonly subject: string;
  readonly revision: number;
  readonly pipeline: string;
  readonly buildset: number;
  result: string | null;
}

/** What a gate has on record of builds, which its core looks up when a change is ahead whose own item is gone. */
export class BuildRecords {
  readonly #graphs = new Map<number, JobGraph>();
  readonly #builds = new Map<number, Recorded>();
  readonly #failing = new Set<number>();

  told(event: GateEvent): void {
    if (event.kind === "frozen" && event.result.kind === "graph")
      this.#graphs.set(event.buildset, event.result.graph);
    if (event.kind === "failing") this.#failing.add(event.build);
    if (event.kind !== "ended") return;
    const { build, result } = event;
    const name = result.kind === "final" ? result.result : result.kind;
    this.#end(build, this.#failing.has(build) ? "FAILURE" : name);
  }

  asked(effect: GateEffect): void {
    if (effect.kind === "cancelBuild") this.#end(effect.build, "CANCELED");
    if (effect.kind !== "startBuild" || this.#builds.has(effect.build)) return;
    const { build, job, subject, pipeline, buildset } = effect;
    const revision = subject.kind === "change" ? subject.revision : 0;
    this.#builds.set(build, { build, job, subject: subject.id, revision, pipeline, buildset, result: null });
  }

  #end(build: number, result: string): void {
    const recorded = this.#builds.get(build);
    if (recorded !== undefined) recorded.result ??= result;
  }

  find({ pipeline, subjects }: Effect<"findProviders">): PastProvider[] {
    const all = [...this.#builds.values()];
    const newest = subjects.flatMap(({ id, revision }) => {
      const last = all.findLast(
        (one) => one.pipeline === pipeline && one.subject === id && one.revision === revision,
      );
      return last === undefined ? [] : [last.buildset];
    });
    return [...new Set(newest)].flatMap((buildset) =>
      (this.#graphs.get(buildset)?.jobs ?? []).flatMap(({ name, provides = [] }): PastProvider[] => {
        if (provides.length === 0) return [];
        const found = all.findLast((one) => one.buildset === buildset && one.job === name);
        return [{ job: name, provides, build: found?.build ?? null, result: found?.result ?? null }];
      }),
    );
  }
}
