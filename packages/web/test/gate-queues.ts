import type {
  BuildView,
  ChangeView,
  ItemView,
  JobView,
  PipelineView,
  QueueView,
  StatusView,
  SubjectView,
} from "@drover/gate/api";

/* What a gate may tell, with as little as a script has to say. */

export function subject(number: number, more: Partial<SubjectView> = {}): SubjectView {
  return {
    kind: "change",
    id: `local:${number}`,
    number,
    revision: 1,
    project: "shop",
    branch: "main",
    commit: number.toString(16).padStart(40, "a"),
    title: `Change number ${number}`,
    owner: "ann",
    ...more,
  };
}

export function job(name: string, more: Partial<JobView> = {}): JobView {
  return {
    name,
    voting: true,
    state: "waiting",
    result: null,
    build: null,
    isFailing: false,
    attempt: 1,
    startedMs: null,
    endedMs: null,
    estimatedMs: null,
    reason: null,
    dependencies: [],
    ...more,
  };
}

export function ended(name: string, result: string, tookMs: number, more: Partial<JobView> = {}): JobView {
  const endedMs = Date.now() - 5000;
  return job(name, {
    state: "ended",
    result,
    startedMs: endedMs - tookMs,
    endedMs,
    build: `b-${name}`,
    ...more,
  });
}

export function running(
  name: string,
  forMs: number,
  ofMs: number | null,
  more: Partial<JobView> = {},
): JobView {
  const startedMs = Date.now() - forMs;
  return job(name, { state: "running", startedMs, estimatedMs: ofMs, build: `b-${name}`, ...more });
}

/** An item whose id is its change's number. */
export function item(number: number, itemAhead: number | null, more: Partial<ItemView> = {}): ItemView {
  const own = more.subject ?? subject(number);
  return {
    id: number,
    subject: own,
    members: [own],
    live: true,
    active: true,
    failing: false,
    reasons: [],
    itemAhead,
    itemsBehind: [],
    enqueuedMs: Date.now() - 60_000,
    remainingMs: null,
    buildset: number,
    resets: 0,
    jobs: [],
    ...more,
  };
}

/** Adds to each item which ones are behind it. */
export function queue(name: string, items: readonly ItemView[], more: Partial<QueueView> = {}): QueueView {
  const linked = items.map((one) => ({
    ...one,
    itemsBehind: items.filter(({ itemAhead }) => itemAhead === one.id).map(({ id }) => id),
  }));
  return { name, branch: null, window: 20, items: linked, ...more };
}

export function pipeline(
  name: string,
  queues: readonly QueueView[],
  more: Partial<PipelineView> = {},
): PipelineView {
  return { name, manager: "dependent", isDisabled: false, description: null, queues, waiting: [], ...more };
}

let version = 0;

export function status(pipelines: readonly PipelineView[], more: Partial<StatusView> = {}): StatusView {
  return {
    tenant: "main",
    atMs: Date.now(),
    version: ++version,
    isPaused: false,
    frozenBranches: [],
    pipelines,
    slots: { total: 8, used: 3 },
    configProblems: 0,
    ...more,
  };
}

export function change(number: number, more: Partial<ChangeView> = {}): ChangeView {
  const own = more.subject ?? subject(number);
  return {
    subject: own,
    state: "open",
    message: `${own.title}\n\nChange-Id: I${"0".repeat(39)}${number % 10}\n`,
    approvals: [],
    isApproved: false,
    needs: [],
    revisions: [{ revision: 1, commit: own.commit!, atMs: Date.now() - 120_000 }],
    comments: [],
    fetchCommand: `git fetch http://127.0.0.1:4780/git/shop refs/changes/${number}/1`,
    builds: [],
    ...more,
  };
}

export function build(id: string, more: Partial<BuildView> = {}): BuildView {
  return {
    id,
    buildset: 1,
    job: "unit",
    pipeline: "gate",
    subject: subject(1),
    chain: [{ project: "shop", number: 1, revision: 1 }],
    voting: true,
    attempt: 1,
    result: null,
    startedMs: Date.now() - 30_000,
    endedMs: null,
    artifacts: [],
    logUrl: `/api/gate/builds/${id}/log`,
    ...more,
  };
}
