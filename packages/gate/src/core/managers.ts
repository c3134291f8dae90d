import type { PipelineRules } from "./layout.ts";

/** How a pipeline treats what enters it. Another manager is another line in the table below. */
export interface Manager {
  /** Projects that are gated together share a queue, or each item has one of its own. */
  readonly queues: "shared" | "own";
  /** What a change needs goes ahead of it as an item like itself, or underneath it as one that is not live. */
  readonly needs: "ahead" | "underneath";
  /** What passes is merged. So it has to be approved for as long as it is there, and what it needs has to merge first. */
  readonly merges: boolean;
}

const MANAGERS: Readonly<Record<PipelineRules["manager"], Manager>> = {
  dependent: { queues: "shared", needs: "ahead", merges: true },
  independent: { queues: "own", needs: "underneath", merges: false },
};

export function managerOf({ rules }: { readonly rules: Pick<PipelineRules, "manager"> }): Manager {
  return MANAGERS[rules.manager];
}
