import type { BuildId, GateCore, ItemStatus, JobStatus, PipelineStatus, Subject } from "../core/index.ts";
import type { Gate } from "../gate.ts";
import type { BuildRow } from "../scheduler/build-table.ts";
import type {
  BuildView,
  ChangeSummaryView,
  ChangeView,
  ItemView,
  JobView,
  SharedView,
  StatusView,
  SubjectView,
} from "./types.ts";

/* What is shown of the gate, from what its parts know. */

/** Where the API is. */
export const API = "/api/gate";
/** Builds that a change's page shows. */
const SHOWN_BUILDS = 50;

export function subjectView(gate: Gate, subject: Subject): SubjectView {
  const { title, owner, number } = gate.factsOf(subject);
  const isChange = subject.kind === "change";
  return {
    kind: subject.kind,
    id: subject.id,
    number,
    revision: isChange ? subject.revision : null,
    project: subject.project,
    branch: subject.branch,
    commit: isChange ? subject.commit : subject.newCommit,
    title,
    owner,
  };
}

/** @param past The state at a time that has passed, `nowMs`. */
export function statusView(gate: Gate, nowMs: number, past?: GateCore): StatusView {
  const { isPaused, frozenBranches, version, pipelines } = (past ?? gate.scheduler).status();
  const descriptions = new Map(
    gate.loader.current?.layout.pipelines.map(({ name, description }) => [name, description]),
  );
  return {
    tenant: gate.tenant.name,
    atMs: nowMs,
    version,
    isPaused,
    frozenBranches,
    slots: { total: gate.slots.total, used: past === undefined ? gate.slots.used : runningIn(pipelines) },
    configProblems: past === undefined ? gate.configProblems.length : null,
    undelivered: past === undefined ? gate.outbox.waiting() : null,
    pipelines: pipelines.map(({ name, manager, isDisabled, queues, waiting }) => ({
      name,
      manager,
      isDisabled,
      description: descriptions.get(name) ?? null,
      queues: queues.map((queue) => ({
        name: queue.name,
        branch: queue.branch,
        window: queue.window,
        items: queue.items.map((item) => itemView(gate, item, nowMs, past !== undefined)),
      })),
      waiting: waiting.flatMap(({ change, revision, reason }) => {
        const record = gate.recordOf(change);
        if (record === undefined) return [];
        const subject = subjectView(gate, { ...record, revision });
        return [{ subject, pipeline: name, reason: gate.readable(reason) }];
      }),
    })),
  };
}

function runningIn(pipelines: readonly PipelineStatus[]): number {
  const jobs = pipelines.flatMap(({ queues }) =>
    queues.flatMap(({ items }) => items.flatMap((item) => item.jobs)),
  );
  return jobs.filter(({ state }) => state === "running").length;
}

function itemView(gate: Gate, item: ItemStatus, nowMs: number, isPast: boolean): ItemView {
  const { failing, waiting, resetReason, subject, members } = item;
  const jobs = item.jobs.map((job) => jobView(gate, item, job, isPast ? nowMs : Number.POSITIVE_INFINITY));
  return {
    id: item.id,
    subject: subjectView(gate, subject),
    members: members.map((member) => subjectView(gate, member)),
    live: item.live,
    active: item.active,
    failing: failing !== null,
    reasons: [failing, ...waiting, item.resets > 0 ? resetReason : null]
      .filter((reason) => reason !== null)
      .map((reason) => gate.readable(reason)),
    itemAhead: item.itemAhead,
    itemsBehind: item.itemsBehind,
    enqueuedMs: item.enqueuedMs,
    remainingMs: remainingMs(jobs, nowMs),
    buildset: item.buildset,
    resets: item.resets,
    jobs,
  };
}

function jobView(gate: Gate, { subject, members }: ItemStatus, job: JobStatus, untilMs: number): JobView {
  const { project, branch } = members.find(({ id }) => id === job.of?.changes[0]) ?? subject;
  const times = job.build === null ? undefined : gate.builds.timesOf(job.build);
  return {
    name: gate.readable(job.name),
    voting: job.voting,
    state: job.state,
    result: job.result,
    build: job.build === null ? null : String(job.build),
    attempt: job.attempt,
    isFailing: job.isFailing,
    startedMs: times?.startedMs ?? null,
    // Of a time that has passed, what came later has not happened.
    endedMs: times?.endedMs != null && times.endedMs <= untilMs ? times.endedMs : null,
    estimatedMs: gate.builds.estimate(job.of?.job ?? job.name, project, branch),
    reason: job.reason === null ? null : gate.readable(job.reason),
    dependencies: job.dependencies.map((name) => gate.readable(name)),
  };
}

/** Until the last of the jobs ends, each beginning when those that it depends on have ended. */
function remainingMs(jobs: readonly JobView[], nowMs: number): number | null {
  if (jobs.length === 0) return null;
  const byName = new Map(jobs.map((job) => [job.name, job]));
  const known = new Map<string, number>();
  let isUnknown = false;
  const until = ({ name, state, estimatedMs, startedMs, dependencies }: JobView): number => {
    const found = known.get(name);
    if (found !== undefined) return found;
    // A circle cannot be; if it were, it would end here.
    known.set(name, 0);
    let ms = 0;
    if (state !== "ended") {
      if (estimatedMs === null) isUnknown = true;
      const left = (estimatedMs ?? 0) - (startedMs === null ? 0 : nowMs - startedMs);
      const before = dependencies
        .map((parent) => byName.get(parent))
        .filter((parent) => parent !== undefined);
      ms = Math.max(0, left) + Math.max(0, ...before.map(until));
    }
    known.set(name, ms);
    return ms;
  };
  const longest = Math.max(...jobs.map(until));
  return isUnknown ? null : longest;
}

export function buildView(gate: Gate, row: BuildRow): BuildView {
  const frozen = gate.builds.frozen(row.buildset);
  return {
    id: String(row.id),
    buildset: row.buildset,
    job: row.job,
    pipeline: row.pipeline,
    subject: subjectView(gate, row.subject),
    chain: (frozen?.chain ?? []).map(({ project, change, revision }) => ({
      project,
      number: gate.forge.numberOf(change) ?? null,
      revision,
    })),
    voting: row.voting,
    attempt: row.attempt,
    result: row.result,
    startedMs: row.startedMs,
    endedMs: row.endedMs,
    detail: row.detail,
    shared: sharedView(gate, row.id),
    artifacts: (row.outcome?.artifacts ?? []).map(({ name }) => ({
      name,
      url: `${API}/builds/${row.id}/artifacts/${name.split("/").map(encodeURIComponent).join("/")}`,
    })),
    logUrl: `${API}/builds/${row.id}/log`,
  };
}

export function sharedView(gate: Gate, build: BuildId): SharedView | null {
  const { how = null, source = null } = gate.ledger.of(build) ?? {};
  return how === null || source === null ? null : { how, build: String(source) };
}

export function changeView(gate: Gate, number: number): ChangeView | undefined {
  const change = gate.forge.change(number);
  if (change === undefined) return undefined;
  const { record, revisions, approvals, comments } = change;
  const [base] = gate.forge.urls;
  const where = base === undefined ? gate.forge.gitDir(record.project) : `${base}/git/${record.project}.git`;
  return {
    subject: subjectView(gate, record),
    state: change.state,
    message: revisions.at(-1)?.message ?? "",
    approvals,
    isApproved: record.isApproved,
    needs: record.needs.map(({ source, change: id, problem }) => ({
      source,
      change: id === null ? null : (gate.forge.numberOf(id) ?? null),
      problem,
    })),
    revisions: revisions.map(({ revision, head, atMs }) => ({ revision, commit: head, atMs })),
    comments,
    fetchCommand: `git fetch ${where} ${gate.forge.refOf(number, change.revision)}`,
    builds: gate.builds
      .list({ subjectId: record.id, limit: SHOWN_BUILDS })
      .map((row) => buildView(gate, row)),
  };
}

export function changeSummary(gate: Gate, number: number): ChangeSummaryView {
  const { record, state, topic, updatedMs } = gate.forge.change(number)!;
  return { subject: subjectView(gate, record), state, isApproved: record.isApproved, topic, updatedMs };
}
