import type { JobServer } from "../job-server.ts";

/** What a server does: `restoring` is taking back what its store has. */
export type Phase = "starting" | "restoring" | "running" | "draining" | "stopping";

/** How the store of a server is: `none` without one; `lost` when the jobs are another server's now. */
export type StoreState = "none" | "ok" | "failing" | "lost";

export type NotReadyReason = Exclude<Phase, "running"> | "store-failing" | "store-lost";

const WHY: Readonly<Record<NotReadyReason, string>> = {
  starting: "the server does not listen yet",
  restoring: "the server takes back the jobs of its store",
  draining: "the server takes no new connections, and ends when no job is left",
  stopping: "the server ends",
  "store-failing": "the store does not take jobs: background submissions are refused",
  "store-lost": "the jobs are another server's now",
};

/** Why new work should go elsewhere, if it should. */
export function whyNotReady(
  server: JobServer,
): { readonly reason: NotReadyReason; readonly detail: string }[] {
  const { phase, storeState } = server;
  const reasons: NotReadyReason[] = [];
  if (phase !== "running") reasons.push(phase);
  if (storeState === "failing" || storeState === "lost") reasons.push(`store-${storeState}`);
  return reasons.map((reason) => ({ reason, detail: WHY[reason] }));
}

export interface Health {
  readonly status: "ok";
  readonly version: string;
  readonly uptimeSeconds: number;
  readonly phase: Phase;
  readonly store: StoreState;
}

/** How a server is that can still say so. */
export function healthOf(server: JobServer): Health {
  return {
    status: "ok",
    version: server.core.state.options.version,
    uptimeSeconds: Math.max(0, Math.round((Date.now() - server.startedMs) / 1000)),
    phase: server.phase,
    store: server.storeState,
  };
}
