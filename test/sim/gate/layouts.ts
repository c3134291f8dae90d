import type {
  Change,
  CoreLayout,
  FrozenJob,
  PipelineRules,
  WindowRules,
} from "../../../packages/gate/src/core/index.ts";

/** A window as it is by default. */
export const WINDOW: WindowRules = {
  size: 20,
  floor: 3,
  ceiling: null,
  increase: { type: "linear", factor: 1 },
  decrease: { type: "exponential", factor: 2 },
};

type Queues = PipelineRules["queues"];

/** What approved changes merge through. */
export function gatePipeline(queues: Queues, window: WindowRules = WINDOW): PipelineRules {
  return {
    ...pipeline("gate", "dependent", "high"),
    window,
    queues,
    supercedes: ["check"],
    require: { open: true, approved: true },
  };
}

/** What each new revision is tested by. */
export function checkPipeline(queues: Queues = new Map()): PipelineRules {
  return { ...pipeline("check", "independent", "normal"), queues };
}

/** What is run for a branch that moved, and for open changes when one has merged. */
export function postPipeline(queues: Queues = new Map()): PipelineRules {
  return { ...pipeline("post", "independent", "low"), queues };
}

/** What is done for each branch that moved, one after the other. */
export function deployPipeline(queues: Queues): PipelineRules {
  return { ...pipeline("deploy", "serial", "high"), queues, disableAfter: 3 };
}

/** What is done for what a branch is now, and not for what it was meanwhile. */
export function publishPipeline(): PipelineRules {
  return pipeline("publish", "supercedent", "low");
}

function pipeline(
  name: string,
  manager: PipelineRules["manager"],
  precedence: PipelineRules["precedence"],
): PipelineRules {
  return {
    ...{ name, manager, precedence, window: WINDOW },
    ...{ require: {}, reject: {}, queues: new Map(), supercedes: [] },
    ...{ dequeueOnNewRevision: true, ignoreDependencies: false },
  };
}

/** Names the queue that a change merges through. */
export function queueOf({ pipelines }: CoreLayout, { project, branch }: Change): string {
  const queue = pipelines.find(({ name }) => name === "gate")!.queues.get(project);
  return queue === undefined ? `project ${project}` : `${queue.name} ${queue.perBranch ? branch : ""}`;
}

export function layoutOf(
  version: number,
  pipelines: readonly PipelineRules[],
  projects: readonly string[],
): CoreLayout {
  return { version, pipelines, projects: new Set(projects) };
}

export function job(name: string, fields: Partial<FrozenJob> = {}): FrozenJob {
  return {
    ...{ name, voting: true, attempts: 3, dependencies: [], labels: ["local"] },
    ...{ holdFollowingChanges: false, isNoop: false, ...fields },
  };
}
