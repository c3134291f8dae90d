import type { ChangeId } from "./change.ts";
import { onOffer } from "./offers.ts";
import type { Gate } from "./state.ts";

/* What happens in the gate starts pipelines, too: Zuul's trigger `zuul`. */

/** A change has entered a pipeline: those that need it are offered to whoever waits for that. */
export function parentEnqueued(gate: Gate, pipeline: string, parent: ChangeId): void {
  const pipelines = gate.layout.pipelines.filter(({ triggers }) => {
    const names = triggers?.parentEnqueued ?? null;
    return names !== null && (names.length === 0 || names.includes(pipeline));
  });
  if (pipelines.length === 0) return;
  trigger(gate, gate.changes.needing(parent), pipelines);
}

/** A change has merged: all open ones of its project are offered to whoever waits for that. Costs as much as there are changes. */
export function projectMerged(gate: Gate, project: string): void {
  const pipelines = gate.layout.pipelines.filter(({ triggers }) => triggers?.projectMerged === true);
  if (pipelines.length === 0) return;
  const { changes } = gate.changes.list();
  const open = changes.filter((change) => change.state === "open" && change.project === project);
  trigger(gate, open, pipelines);
}

type Named = readonly { readonly name: string }[];

function trigger(gate: Gate, changes: readonly { readonly id: ChangeId }[], pipelines: Named): void {
  const names = pipelines.map(({ name }) => name);
  for (const { id } of changes) gate.triggered.push({ change: id, pipelines: names });
}

/**
 * Makes the offers that what was done so far has brought about. In one step each is made once: pipelines that supersede each
 * other, and changes that need each other, could bring them about for ever.
 * @param offered Those that this step has made.
 */
export function offerTriggered(gate: Gate, offered: Set<string>): void {
  for (const { change, pipelines } of gate.triggered.splice(0)) {
    const key = JSON.stringify([change, ...pipelines]);
    if (offered.has(key)) continue;
    offered.add(key);
    onOffer(gate, { kind: "offer", subject: change, pipelines });
  }
}
