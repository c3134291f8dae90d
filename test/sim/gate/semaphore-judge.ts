import type { GateCore, GateEffect, GateEvent, JobGraph } from "../../../packages/gate/src/core/index.ts";
import { ensure } from "../violation.ts";

/** Of semaphores that nobody declares. */
const UNDECLARED = 1;

/** Says whether semaphores were respected, by which builds were started and which have ended. */
export class SemaphoreJudge {
  /** Of builds that run, what their jobs wanted when they began. */
  readonly #wants = new Map<number, ReadonlySet<string>>();
  #rooms: ReadonlyMap<string, number> = new Map();

  step(
    events: readonly GateEvent[],
    effects: readonly GateEffect[],
    graphOf: (buildset: number) => JobGraph | null,
    core: GateCore,
  ): void {
    for (const event of events) {
      if (event.kind === "configured") this.#rooms = event.layout.semaphores ?? new Map();
      else if (event.kind === "ended") this.#wants.delete(event.build);
    }
    const refrozen = new Set(events.map((event) => (event.kind === "frozen" ? event.buildset : null)));
    const holds = (semaphore: string, build: number): boolean =>
      core
        .semaphores()
        .some(({ name, holders }) => name === semaphore && holders.some((one) => one.build === build));
    for (const effect of effects) {
      if (effect.kind === "cancelBuild") this.#wants.delete(effect.build);
      if (effect.kind !== "startBuild" || this.#wants.has(effect.build)) continue;
      const job = graphOf(effect.buildset)?.jobs.find(({ name }) => name === effect.job);
      const wanted = job?.semaphores?.map(({ name }) => name) ?? [];
      // Frozen again in the same batch, before it began or after.
      const names = new Set(
        refrozen.has(effect.buildset) ? wanted.filter((name) => holds(name, effect.build)) : wanted,
      );
      for (const name of names) {
        const others = [...this.#wants.values()].filter((wants) => wants.has(name)).length;
        ensure(
          others < this.#room(name),
          "semaphore",
          () => `build ${effect.build} begins beside ${others} that use ${name}`,
        );
      }
      this.#wants.set(effect.build, names);
    }
    this.#shown(core);
  }

  #room(name: string): number {
    return this.#rooms.get(name) ?? UNDECLARED;
  }

  /** Each holder is a build that asks for nodes or runs, and nobody waits for one that is free. */
  #shown(core: GateCore): void {
    const jobs = core
      .status()
      .pipelines.flatMap(({ queues }) => queues.flatMap(({ items }) => items.flatMap((item) => item.jobs)));
    const live = new Set(
      jobs.filter(({ state }) => state !== "waiting" && state !== "ended").map(({ build }) => build),
    );
    const semaphores = core.semaphores();
    for (const { name, holders } of semaphores)
      for (const { build } of holders)
        ensure(live.has(build), "semaphore", () => `build ${build} is over and holds ${name}`);
    for (const { reason, name: job, state } of jobs) {
      if (state === "ended") continue;
      const name = /^waits for semaphore (\S+),/.exec(reason ?? "")?.[1];
      if (name === undefined) continue;
      const held = semaphores.find((one) => one.name === name)?.holders.length ?? 0;
      ensure(held >= this.#room(name), "semaphore", () => `${job} waits for ${name}, which is free`);
    }
  }

  /** Nothing is queued any more. */
  end(core: GateCore): void {
    for (const { name, holders } of core.semaphores())
      ensure(holders.length === 0, "semaphore", () => `${name} is held by ${holders.length} for ever`);
  }
}
