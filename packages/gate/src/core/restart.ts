import { requestEffect, startEffect, WAITS_FOR_NODES } from "./builds.ts";
import { freezeEffect } from "./buildsets.ts";
import { landEffect } from "./pass.ts";
import { askAgain } from "./providing.ts";
import { type Gate, markDirty } from "./state.ts";

/**
 * Asks again for everything that was asked for and not answered: a process that ended may have asked for it or not, and
 * an answer may have been lost with it. `startBuild` re-joins a build or starts it; either way it has its nodes.
 */
export function onRestarted(gate: Gate): void {
  for (const buildset of gate.buildsets.values()) {
    const { id, state, chain, item, isRefreezing } = buildset;
    if (state === "merging") gate.effects.push({ kind: "merge", buildset: id, chain });
    else if (state === "freezing" || isRefreezing) gate.effects.push(freezeEffect(buildset));
    if (item.landing !== null) gate.effects.push(landEffect(item));
  }
  for (const run of gate.builds.values()) {
    // Nodes that nothing ran on yet went with the process.
    if (run.state === "granted") {
      run.state = "queued";
      run.reason = WAITS_FOR_NODES;
    }
    // It asks again when it is looked at.
    if (run.state === "resuming") {
      run.state = "paused";
      markDirty(gate, run.buildset.item);
    }
    gate.effects.push(run.state === "queued" ? requestEffect(run) : startEffect(run));
  }
  askAgain(gate);
  for (const report of gate.reports.values()) gate.effects.push(report);
}
