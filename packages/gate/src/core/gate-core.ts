import { onEnded, onFailing, onNodes, rankOf, startGranted } from "./builds.ts";
import { onFrozen, onMerged, retryMerges } from "./buildsets.ts";
import type { ChangeId } from "./change.ts";
import { breakDeadlock } from "./deadlock.ts";
import type { Decision } from "./decisions.ts";
import type { BuildId, GateEffect, GateEvent, ReportId } from "./events.ts";
import { onFreezeBranch, onThawBranch } from "./frozen-branches.ts";
import { onBranchMoved, onLanded } from "./landing.ts";
import type { CoreLayout } from "./layout.ts";
import { onChange, onDequeue, onEnqueue, onOffer } from "./offers.ts";
import { settle } from "./pass.ts";
import { onPaused } from "./pausing.ts";
import { onPromote, promotionObstacle } from "./promoting.ts";
import { onProvidersFound } from "./providing.ts";
import { onConfigured } from "./reconfigure.ts";
import { onRestarted } from "./restart.ts";
import { type SemaphoreStatus, semaphoresOf } from "./semaphores.ts";
import { emptyGate, type GateSnapshot, gateFrom, snapshotOf } from "./snapshot.ts";
import { type Counters, type Gate, markDirty } from "./state.ts";
import { type CoreStatus, statusOf, type WindowStatus, windowsOf } from "./status.ts";

const NOTHING: CoreLayout = { version: 0, pipelines: [], projects: new Set() };

/** Of one batch: what the whole gate is told comes first, then results, which free what triggers take. */
function phaseOf({ kind }: GateEvent): 0 | 1 | 2 {
  switch (kind) {
    case "configured":
    case "promote":
    case "freezeBranch":
    case "thawBranch":
    case "pause":
    case "restarted":
      return 0;
    case "merged":
    case "frozen":
    case "nodes":
    case "ended":
    case "failing":
    case "paused":
    case "landed":
    case "reported":
    case "branchMoved":
    case "providersFound":
      return 1;
    default:
      return 2;
  }
}

/**
 * The state machine of the gate: what is told to it comes in as events, what it wants done goes out as effects.
 *
 * It knows no clock and no chance, so that the same events give the same state and the same effects: who stores a
 * snapshot and the events after it has stored the gate. Events must be stored before effects are acted on. Answers may
 * come late, twice or never; what is no longer asked for is dropped.
 */
export class GateCore {
  readonly #gate: Gate;

  constructor() {
    this.#gate = emptyGate(NOTHING);
  }

  /** @throws When the snapshot is of another version. */
  static restore(snapshot: GateSnapshot): GateCore {
    const core = new GateCore();
    Object.assign(core.#gate, gateFrom(snapshot));
    return core;
  }

  /**
   * Takes a batch of events, and decides until nothing changes any more.
   * @param nowMs Never less than the last time; the past counts as no time at all.
   * @returns What is to be done, in this order.
   */
  step(events: readonly GateEvent[], nowMs: number): GateEffect[] {
    const gate = this.#gate;
    gate.nowMs = Math.max(gate.nowMs, nowMs);
    gate.effects = [];
    if (events.length === 1) this.#apply(events[0]!);
    else
      for (const phase of [0, 1, 2])
        for (const event of events) if (phaseOf(event) === phase) this.#apply(event);
    if (gate.retrying.size > 0) retryMerges(gate);
    settle(gate);
    while (breakDeadlock(gate)) settle(gate);
    const { effects } = gate;
    gate.effects = [];
    return effects;
  }

  #apply(event: GateEvent): void {
    const gate = this.#gate;
    if (event.kind === "change") onChange(gate, event.change);
    else if (event.kind === "offer") onOffer(gate, event);
    else if (event.kind === "merged") onMerged(gate, event);
    else if (event.kind === "frozen") onFrozen(gate, event);
    else if (event.kind === "nodes") onNodes(gate, event);
    else if (event.kind === "ended") onEnded(gate, event);
    else if (event.kind === "failing") onFailing(gate, event);
    else if (event.kind === "paused") onPaused(gate, event);
    else if (event.kind === "landed") onLanded(gate, event);
    else if (event.kind === "reported") onReported(gate, event.report);
    else if (event.kind === "branchMoved") onBranchMoved(gate, event);
    else if (event.kind === "providersFound") onProvidersFound(gate, event);
    else if (event.kind === "enqueue") onEnqueue(gate, event);
    else if (event.kind === "dequeue") onDequeue(gate, event);
    else if (event.kind === "promote") onPromote(gate, event);
    else if (event.kind === "freezeBranch") onFreezeBranch(gate, event);
    else if (event.kind === "thawBranch") onThawBranch(gate, event);
    else if (event.kind === "configured") onConfigured(gate, event);
    else if (event.kind === "pause") onPause(gate, event.on);
    else if (event.kind === "restarted") onRestarted(gate);
  }

  /** The state as plain JSON. It shares what never changes with the core. */
  snapshot(): GateSnapshot {
    return snapshotOf(this.#gate);
  }

  status(): CoreStatus {
    return statusOf(this.#gate);
  }

  /** The newest decisions about a change or a ref, oldest first. */
  explain(subject: ChangeId): readonly Decision[] {
    return this.#gate.decisions.of(subject);
  }

  /** Ids of the changes and refs that `explain` knows, the one that was decided about last at the end. */
  explained(): readonly ChangeId[] {
    return this.#gate.decisions.subjects();
  }

  /** Why these cannot be promoted in a pipeline, in a sentence; `null` when they can. */
  promotionObstacle(pipeline: string, subjects: readonly string[]): string | null {
    const known = this.#gate.pipelines.get(pipeline);
    return known === undefined
      ? `there is no pipeline ${pipeline}`
      : promotionObstacle(this.#gate, known, subjects);
  }

  /** Where a build that asked for nodes stands now: lower is served first. `null` when it does not ask. */
  rankOf(build: BuildId): number | null {
    const run = this.#gate.builds.get(build);
    return run?.state === "queued" || run?.state === "resuming" ? rankOf(run.buildset.item) : null;
  }

  /** When a `tick` is due at the latest. `null`: never. */
  get nextWakeMs(): number | null {
    let next: number | null = null;
    for (const { retryAtMs } of this.#gate.retrying) next = Math.min(next ?? retryAtMs, retryAtMs);
    return next;
  }

  windows(): WindowStatus[] {
    return windowsOf(this.#gate);
  }

  /** Those that are declared, held or waited for, by name. */
  semaphores(): SemaphoreStatus[] {
    return semaphoresOf(this.#gate);
  }

  /** Since the state began. */
  get counters(): Readonly<Counters> {
    return this.#gate.counters;
  }
}

function onReported(gate: Gate, report: ReportId): void {
  if (!gate.reports.delete(report)) gate.counters.stale++;
}

/** While it is paused no build starts and nothing merges; results and changes are taken as ever. */
function onPause(gate: Gate, on: boolean): void {
  if (gate.isPaused === on) return;
  gate.isPaused = on;
  if (!on) startGranted(gate);
  for (const item of gate.items.values()) markDirty(gate, item);
}
