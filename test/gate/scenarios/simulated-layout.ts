import type { FrozenJob, PipelineRules, QueueRules } from "../../../packages/gate/src/core/index.ts";
import {
  checkPipeline,
  deployPipeline,
  gatePipeline,
  job,
  publishPipeline,
  WINDOW,
} from "../../sim/gate/layouts.ts";
import type { FurtherPipeline, JobSetup, Setup } from "./world.ts";

/* Scenarios as what the core of a gate knows of its configuration. */

const FURTHER: ReadonlySet<string> = new Set(["deploy", "publish", "merge-check", "nightly"]);

/** Whether a pipeline is one of those that setups name. */
export function isFurther(pipeline: string): pipeline is FurtherPipeline {
  return FURTHER.has(pipeline);
}

export function pipelinesOf(setup: Setup, queues: Map<string, QueueRules>): PipelineRules[] {
  const further: Readonly<Record<FurtherPipeline, PipelineRules>> = {
    deploy: { ...deployPipeline(queues), disableAfter: null },
    publish: publishPipeline(),
    "merge-check": {
      ...{ ...checkPipeline(), name: "merge-check", require: { open: true } },
      triggers: { parentEnqueued: null, projectMerged: true },
    },
    nightly: { ...checkPipeline(), name: "nightly", require: {} },
  };
  const check: PipelineRules = {
    ...{ ...checkPipeline(queues), disableAfter: setup.disableAfter ?? null },
    ...(setup.rechecks ? { require: { open: true, approved: false } } : {}),
    ...(setup.rechecks ? { triggers: { parentEnqueued: ["gate"], projectMerged: false } } : {}),
  };
  const gate = gatePipeline(queues, { ...WINDOW, ...setup.window });
  return [
    ...(setup.check ? [check, setup.supercedes ? gate : { ...gate, supercedes: [] }] : [gate]),
    ...(setup.pipelines ?? []).map((name) => further[name]),
  ];
}

/** A job as the core knows it. */
export function frozen({
  name,
  after = [],
  voting = true,
  holds = false,
  attempts = 3,
  noop = false,
  nodes = 1,
  semaphores = [],
  provides = [],
  requires = [],
}: JobSetup): FrozenJob {
  const dependencies = after.map((needed) => {
    const soft = needed.startsWith("soft:");
    return { name: soft ? needed.slice("soft:".length) : needed, soft };
  });
  const uses = semaphores.map((text) => {
    const resourcesFirst = text.startsWith("first:");
    return { name: resourcesFirst ? text.slice("first:".length) : text, resourcesFirst };
  });
  return job(name, {
    ...(nodes === 1 ? {} : { labels: Array<string>(nodes).fill("local") }),
    semaphores: uses,
    ...(provides.length > 0 ? { provides } : {}),
    ...(requires.length > 0 ? { requires } : {}),
    voting,
    attempts,
    dependencies,
    holdFollowingChanges: holds,
    isNoop: noop,
  });
}
