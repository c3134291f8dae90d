import type { PipelineRules, WindowRules } from "./layout.ts";

/** How a pipeline treats what enters it. Another manager is another line in the table below. */
export interface Manager {
  /**
   * Projects that are gated together share a queue; or each item has one of its own; or each branch and tag of a project
   * has one, in which what comes supersedes what waits.
   */
  readonly queues: "shared" | "own" | "ref";
  /** What a change needs goes ahead of it as an item like itself, underneath it as one that is not live, or nowhere. */
  readonly needs: "ahead" | "underneath" | "none";
  /** What passes is merged. So it has to be approved for as long as it is there, and what it needs has to merge first. */
  readonly merges: boolean;
  /** Nothing of an item starts while one is ahead of it, whatever the pipeline says of its window. */
  readonly oneByOne: boolean;
}

const MANAGERS: Readonly<Record<PipelineRules["manager"], Manager>> = {
  dependent: { queues: "shared", needs: "ahead", merges: true, oneByOne: false },
  independent: { queues: "own", needs: "underneath", merges: false, oneByOne: false },
  serial: { queues: "shared", needs: "none", merges: false, oneByOne: true },
  supercedent: { queues: "ref", needs: "none", merges: false, oneByOne: true },
};

const STEP = { type: "exponential", factor: 1 } as const;
const ONE: WindowRules = { size: 1, floor: 1, ceiling: 1, increase: STEP, decrease: STEP };

export function managerOf({ rules }: { readonly rules: Pick<PipelineRules, "manager"> }): Manager {
  return MANAGERS[rules.manager];
}

export function windowOf({ rules }: { readonly rules: PipelineRules }): WindowRules {
  return managerOf({ rules }).oneByOne ? ONE : rules.window;
}
