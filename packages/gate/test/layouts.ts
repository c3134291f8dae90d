import type { Change, CoreLayout } from "../src/core/index.ts";

/** One pipeline `gate`, dependent, of one project. */
export const DEPENDENT: CoreLayout = {
  version: 1,
  projects: new Set(["app"]),
  pipelines: [
    {
      name: "gate",
      manager: "dependent",
      precedence: "high",
      require: { open: true, approved: true },
      reject: {},
      dequeueOnNewRevision: true,
      ignoreDependencies: false,
      supercedes: [],
      queues: new Map(),
      window: {
        size: 20,
        floor: 3,
        ceiling: null,
        increase: { type: "linear", factor: 1 },
        decrease: { type: "exponential", factor: 2 },
      },
    },
  ],
};

/** An open change, approved. */
export function change(number: number): Change {
  return {
    kind: "change",
    id: `local:${number}`,
    revision: 1,
    project: "app",
    branch: "main",
    commit: String(number).repeat(40).slice(0, 40),
    state: "open",
    isApproved: true,
    needs: [],
  };
}
