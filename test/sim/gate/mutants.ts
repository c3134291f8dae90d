import { type FrozenJobDefinition, hasSecrets } from "../../../packages/gate/src/config/index.ts";
import type {
  Change,
  GateEffect,
  GateEvent,
  InnerTriggers,
  JobGraph,
  PipelineRules,
} from "../../../packages/gate/src/core/index.ts";
import { Intents } from "../../../packages/gate/src/core/intents.ts";
import { Queue } from "../../../packages/gate/src/core/queue.ts";
import { Holders } from "../../../packages/gate/src/core/semaphores.ts";
import type { Item } from "../../../packages/gate/src/core/state.ts";
import type { BuildRequest } from "../../../packages/gate/src/executor/index.ts";
import { ReuseLedger, SharingPlanner } from "../../../packages/gate/src/reuse/index.ts";
import { SharedExecutions } from "./shared-executions.ts";
import type { Tampering } from "./world.ts";

/*
 * Cores that are wrong in one way each. The simulation has to notice every one of them; if it does not, it would not
 * notice the same mistake in the real one either.
 */

export interface GateMutant {
  readonly name: string;
  /** Makes the wrong core out of a right one. Called for each world. */
  readonly make: () => Tampering;
  /** Puts back what `make` changed for everyone. */
  readonly undo?: () => void;
}

/** A core with another method in one of its classes. */
function replacing<T extends object, K extends keyof T>(
  name: string,
  prototype: T,
  key: K,
  method: (original: T[K]) => T[K],
): GateMutant {
  const original = prototype[key];
  return {
    name,
    make: () => {
      prototype[key] = method(original);
      return {};
    },
    undo: () => {
      prototype[key] = original;
    },
  };
}

/** A core that takes each event for another one. */
function hearing(name: string, change: (event: GateEvent) => GateEvent): GateMutant {
  return { name, make: () => ({ events: (events) => events.map(change) }) };
}

type Manager = PipelineRules["manager"];

/** A core that takes one manager for another. */
function managing(name: string, from: Manager, to: Manager): GateMutant {
  return hearing(name, (event) => {
    if (event.kind !== "configured") return event;
    const pipelines = event.layout.pipelines.map((rules) =>
      rules.manager === from ? { ...rules, manager: to } : rules,
    );
    return { ...event, layout: { ...event.layout, pipelines } };
  });
}

/** A core whose pipelines are triggered by less. */
function triggering(name: string, less: Partial<InnerTriggers>): GateMutant {
  return hearing(name, (event) => {
    if (event.kind !== "configured") return event;
    const pipelines = event.layout.pipelines.map((rules) =>
      rules.triggers === undefined ? rules : { ...rules, triggers: { ...rules.triggers, ...less } },
    );
    return { ...event, layout: { ...event.layout, pipelines } };
  });
}

/** A core that asks for other things than it should. */
function asking(name: string, change: (effects: GateEffect[]) => GateEffect[]): GateMutant {
  return { name, make: () => ({ effects: change }) };
}

function withGraph(event: GateEvent, change: (graph: JobGraph) => JobGraph): GateEvent {
  if (event.kind !== "frozen" || event.result.kind !== "graph") return event;
  return { ...event, result: { kind: "graph", graph: change(event.result.graph) } };
}

/** A core that takes the answer of a merger for the buildset before as one for the newest. */
function hearingLateAnswers(): GateMutant {
  return {
    name: "an answer that comes late counts for the buildset that took its place",
    make: () => {
      let last = 0;
      const effects = (asked: GateEffect[]) => {
        for (const effect of asked) if (effect.kind === "merge") last = effect.buildset;
        return asked;
      };
      const late = (event: GateEvent): GateEvent =>
        event.kind === "merged" && event.buildset === last - 1 ? { ...event, buildset: last } : event;
      return { effects, events: (events) => events.map(late) };
    },
  };
}

/** A core to which a change goes on needing what its revision needed at first, whatever it has come to need. */
function hearingOldNeeds(): GateMutant {
  return {
    name: "an item goes on with a part of what is a cycle now",
    make: () => {
      const first = new Map<string, Change["needs"]>();
      const hear = (event: GateEvent): GateEvent => {
        if (event.kind !== "change") return event;
        const { change } = event;
        const key = `${change.id}@${change.revision}`;
        if (!first.has(key)) first.set(key, change.needs);
        return { ...event, change: { ...change, needs: first.get(key)! } };
      };
      return { events: (events) => events.map(hear) };
    },
  };
}

/** A core that holds on to what was wrong with an item's configuration. */
function stayingBroken(): GateMutant {
  return {
    name: "what a new configuration makes right stays wrong",
    make: () => {
      const broken = new Map<number, GateEvent>();
      const hear = (event: GateEvent): GateEvent => {
        if (event.kind !== "frozen") return event;
        if (event.result.kind === "problems") broken.set(event.buildset, event);
        const before = broken.get(event.buildset);
        return before === undefined ? event : ({ ...before, layout: event.layout } as GateEvent);
      };
      return { events: (events) => events.map(hear) };
    },
  };
}

/** A key that is made of something else than what is run. */
function keyed(name: string, request: (request: BuildRequest) => BuildRequest): GateMutant {
  return { name, make: () => ({ sharing: { request } }) };
}

/** Who may share is another one's to say. */
function sharing(name: string, mayShare: typeof SharingPlanner.mayShare): GateMutant {
  return replacing<typeof SharingPlanner, "mayShare">(name, SharingPlanner, "mayShare", () => mayShare);
}

/** The newest execution of a key counts, however it has ended. */
function reusingFailures(): GateMutant {
  const { prototype } = ReuseLedger;
  const finding = replacing<ReuseLedger, "find">("what failed is reused", prototype, "find", (original) => {
    return function (this: ReuseLedger, key, ...rest) {
      const found = original.call(this, key, ...rest);
      const [, failures] = found.unique.split(".");
      if (found.how !== null || failures === "0") return found;
      return { key, unique: `${key}.${Number(failures) - 1}`, how: "reused", source: 1 };
    };
  });
  const ending = replacing<ReuseLedger, "ended">("", prototype, "ended", (original) => {
    return function (this: ReuseLedger, { unique }) {
      return original.call(this, { unique, how: null });
    };
  });
  return {
    name: finding.name,
    make: () => ({ ...finding.make(), ...ending.make() }),
    undo: () => {
      finding.undo?.();
      ending.undo?.();
    },
  };
}

export const GATE_MUTANTS: readonly GateMutant[] = [
  reusingFailures(),
  keyed("a key forgets what the jobs before have returned", (request) => ({ ...request, vars: {} })),
  keyed("a key forgets the artifacts of the jobs before, and of changes ahead", (request) => ({
    ...request,
    zuul: {},
  })),
  keyed("a key forgets the repositories besides its own", (request) => ({
    ...request,
    repositories: request.repositories.filter(({ project }) => project === request.project),
  })),
  keyed("a key forgets its own repository", (request) => ({
    ...request,
    repositories: request.repositories.filter(({ project }) => project !== request.project),
  })),
  keyed("a key forgets which job it is of", (request) => ({ ...request, job: "", run: [], vars: {} })),
  keyed("a key is of commits, and not of what they hold", (request) => ({
    ...request,
    vars: { ...request.vars, commits: request.repositories.map(({ checkout }) => checkout) },
  })),
  sharing("what runs for a change that has merged is reused", (job, subject): job is FrozenJobDefinition => {
    return job?.reuse === true && !hasSecrets(job) && subject.kind === "change";
  }),
  sharing("what had secrets is reused", (job, subject, hasMerged): job is FrozenJobDefinition => {
    return job?.reuse === true && subject.kind === "change" && !hasMerged;
  }),
  sharing(
    "what says that it is not to be reused is",
    (job, subject, hasMerged): job is FrozenJobDefinition => {
      return job !== undefined && !hasSecrets(job) && subject.kind === "change" && !hasMerged;
    },
  ),
  replacing("who leaves an execution ends it for all", SharedExecutions.prototype, "leave", (original) => {
    return function (this: SharedExecutions, build) {
      this.abort(build);
      original.call(this, build);
    };
  }),
  replacing("what is under way is not joined", ReuseLedger.prototype, "find", (original) => {
    return function (this: ReuseLedger, key, ...rest) {
      const found = original.call(this, key, ...rest);
      return found.how === "joined"
        ? { ...found, unique: `${found.unique}+`, how: null, source: null }
        : found;
    };
  }),
  replacing("items stay behind one that is failing", Queue.prototype, "nearestNonFailing", () => {
    return function (this: Queue, item: Item) {
      return this.items[this.indexOf(item) - 1] ?? null;
    };
  }),
  replacing("a reset does not reach what hangs below", Queue.prototype, "treeOf", () => {
    return (item: Item) => [item];
  }),
  replacing("the window is not applied", Queue.prototype, "refreshActive", () => {
    return () => [];
  }),
  replacing("a chain begins at the nearest item ahead", Queue.prototype, "chainOf", (original) => {
    return function (this: Queue, item: Item) {
      return original.call(this, item).slice(-2);
    };
  }),
  replacing("an approved change that has to wait is forgotten", Intents.prototype, "remember", () => {
    return () => {};
  }),
  replacing("a change that waits is not tried again", Intents.prototype, "touch", () => {
    return () => {};
  }),
  hearing("a job that does not vote counts", (event) =>
    withGraph(event, (graph) => ({ ...graph, jobs: graph.jobs.map((job) => ({ ...job, voting: true })) })),
  ),
  hearing("a job that votes does not count", (event) =>
    withGraph(event, (graph) => ({ ...graph, jobs: graph.jobs.map((job) => ({ ...job, voting: false })) })),
  ),
  hearing("a build that fails is not heard before its end", (event) =>
    event.kind === "failing" ? { kind: "tick" } : event,
  ),
  hearing("a paused build counts as one that has ended", (event) =>
    event.kind === "paused"
      ? { kind: "ended", build: event.build, result: { kind: "final", result: "SUCCESS" } }
      : event,
  ),
  hearing("a paused build that is lost counts as one that has ended", (event) =>
    event.kind === "ended" && event.result.kind === "lost"
      ? { ...event, result: { kind: "final", result: "SUCCESS" } }
      : event,
  ),
  asking("a paused build goes on before what depends on it has ended", (effects) =>
    effects.flatMap((effect): GateEffect[] =>
      effect.kind === "startBuild" && effect.build % 7 === 0
        ? [effect, { kind: "resumeBuild", build: effect.build - 1 }]
        : [effect],
    ),
  ),
  hearing("a job's semaphores do not count", (event) =>
    withGraph(event, (graph) => ({ ...graph, jobs: graph.jobs.map((job) => ({ ...job, semaphores: [] })) })),
  ),
  hearing("a job does not wait for what it requires of changes ahead", (event) =>
    withGraph(event, (graph) => ({ ...graph, jobs: graph.jobs.map((job) => ({ ...job, requires: [] })) })),
  ),
  asking("a job does not get what it requires of changes ahead", (effects) =>
    effects.map((effect) => (effect.kind === "startBuild" ? { ...effect, providers: [] } : effect)),
  ),
  hearing("a semaphore has room for one more than is declared", (event) => {
    if (event.kind !== "configured") return event;
    const rooms = [...(event.layout.semaphores ?? [])].map(([name, room]): [string, number] => [
      name,
      room + 1,
    ]);
    return { ...event, layout: { ...event.layout, semaphores: new Map(rooms) } };
  }),
  replacing("a semaphore is not freed", Holders.prototype, "remove", () => {
    return () => {};
  }),
  hearing("a refused merge counts as done", (event) =>
    event.kind === "landed" ? { ...event, refused: null } : event,
  ),
  hearing("a push past the gate is not noticed, and neither is a branch that moved", (event) => {
    if (event.kind === "branchMoved") return { kind: "tick" };
    return event.kind === "landed" && event.refused !== null ? { ...event, moved: false } : event;
  }),
  replacing("what is promoted moves in the list only", Queue.prototype, "reorder", () => {
    return function (this: Queue, from: number, items: readonly Item[]) {
      this.items.splice(from, items.length, ...items);
    };
  }),
  managing("a serial pipeline works on everything at once", "serial", "independent"),
  managing("a supercedent pipeline does everything", "supercedent", "serial"),
  managing("a serial pipeline leaves out what waits", "serial", "supercedent"),
  triggering("what needs a change is not offered when that enters", { parentEnqueued: null }),
  triggering("what is open is not offered when something merges", { projectMerged: false }),
  asking("a pipeline that failed too often reports as ever", (effects) =>
    effects.map((effect) => (effect.kind === "report" ? { ...effect, isDisabled: false } : effect)),
  ),
  hearing("a branch that is frozen is merged into", (event) =>
    event.kind === "freezeBranch" ? { kind: "tick" } : event,
  ),
  hearingLateAnswers(),
  stayingBroken(),
  asking("nodes are not given back", (effects) =>
    effects.filter(({ kind }, i) => kind !== "releaseNodes" || i % 2 === 0),
  ),
  asking("a change is merged as something else than was tested", (effects) =>
    effects.map((effect) =>
      effect.kind === "land"
        ? { ...effect, steps: effect.steps.map((step) => ({ ...step, commit: step.base })) }
        : effect,
    ),
  ),
  asking("only a part of a cycle merges", (effects) =>
    effects.map((effect) =>
      effect.kind === "land" && effect.steps.length > 1
        ? { ...effect, steps: effect.steps.slice(0, -1) }
        : effect,
    ),
  ),
  hearing("a failing build of a cycle does not count", (event) =>
    withGraph(event, (graph) => {
      const jobs = graph.jobs.map((job) => ({ ...job, voting: job.voting && job.of === undefined }));
      return { ...graph, jobs };
    }),
  ),
  hearingOldNeeds(),
  {
    name: "reports that nobody answered are forgotten by a restart",
    make: () => ({ snapshot: (snapshot) => ({ ...snapshot, reports: [] }) }),
  },
  {
    name: "results are forgotten by a restart",
    make: () => ({
      snapshot: (snapshot) => ({
        ...snapshot,
        queues: snapshot.queues.map((queue) => ({
          ...queue,
          items: queue.items.map((item) => ({ ...item, buildset: null })),
        })),
      }),
    }),
  },
];
