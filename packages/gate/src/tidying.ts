import type { Autoholds } from "./autohold/index.ts";
import type { ExecutionStore } from "./executor/index.ts";
import type { LocalForge } from "./forge/index.ts";
import type { Merger } from "./merger/index.ts";
import type { ReuseLedger } from "./reuse/index.ts";
import type { BuildTable } from "./scheduler/build-table.ts";
import type { Scheduler } from "./scheduler/scheduler.ts";

/** What keeps something that nobody may need any more. */
interface Keepers {
  readonly scheduler: Scheduler;
  readonly merger: Merger;
  readonly builds: BuildTable;
  readonly ledger: ReuseLedger;
  readonly executions: ExecutionStore;
  readonly forge: LocalForge;
  readonly autoholds: Autoholds;
}

/**
 * Lets go what nobody needs any more: commits, logs, records, and what lies loose in repositories.
 * @param beforeMs Of what has ended, what is older goes.
 * @param keepBytes Logs and artifacts may take so much, of what is younger.
 */
export async function tidy(keepers: Keepers, beforeMs: number, keepBytes: number): Promise<void> {
  const { scheduler, merger, builds, ledger, executions, forge, autoholds } = keepers;
  // Before what is live is looked up: a buildset that begins meanwhile holds what it needs.
  const held: { readonly project: string; readonly id: string }[] = [];
  for (const project of forge.projects())
    for (const id of await merger.held(project)) held.push({ project, id });
  const live = new Set<number>();
  for (const { queues } of scheduler.status().pipelines)
    for (const { items } of queues)
      for (const { buildset } of items) if (buildset !== null) live.add(buildset);
  // Their commits are what held workspaces have checked out.
  for (const { buildset } of autoholds.table.held()) live.add(buildset);
  for (const { project, id } of held)
    if (!live.has(Number(id.replace(/^bs-/, "")))) await merger.release(id, [project]);
  builds.prune(beforeMs, live);
  ledger.prune(beforeMs);
  await executions.sweep(beforeMs, keepBytes);
  await forge.maintain();
}
