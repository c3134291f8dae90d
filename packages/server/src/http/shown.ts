import type {
  DeadLetterView,
  FunctionView,
  JobDetail,
  JobRow,
  MemberView,
  OutcomeRow,
  PeerView,
  WorkerView,
} from "../core/index.ts";
import type { ScheduleTimes } from "../schedules.ts";
import { shownText } from "./answers.ts";
import type {
  DeadLetterJson,
  FunctionJson,
  JobDetailJson,
  JobJson,
  MemberJson,
  OutcomeJson,
  PeerJson,
  ScheduleJson,
  TimelineEntry,
  WorkerJson,
} from "./api.ts";

/* What the core lists, as JSON has it. */

export function functionJson(view: FunctionView): FunctionJson {
  const { name, ...numbers } = view;
  return {
    function: shownText(name),
    ...numbers,
    joinRatio: view.runs === 0 ? null : view.submissions / view.runs,
  };
}

export function memberJson(view: MemberView): MemberJson {
  const state = view.state as MemberJson["state"];
  return { ...view, name: shownText(view.name), state };
}

export function jobJson(row: JobRow): JobJson {
  const { handle, state, priority, background, waiting, attempts, workloadBytes, worker } = row;
  return {
    handle,
    function: shownText(row.fn),
    unique: shownText(row.unique),
    state,
    priority,
    background,
    waiting,
    attempts,
    created: iso(row.createdMs),
    due: row.dueMs === 0 ? null : iso(row.dueMs),
    workloadBytes,
    worker,
  };
}

export function jobDetailJson(detail: JobDetail): JobDetailJson {
  const { run, submitters, successor } = detail;
  return {
    ...jobJson(detail),
    submitters: submitters.map(({ peer, sinceMs }) => ({ peer: peerJson(peer), since: iso(sinceMs) })),
    run:
      run === null
        ? null
        : {
            worker: peerJson(run.worker),
            started: iso(run.startedMs),
            timeout: run.timeoutMs === 0 ? null : iso(run.timeoutMs),
            numerator: Number(run.numerator) || 0,
            denominator: Number(run.denominator) || 0,
            historyBytes: run.historyBytes,
            joinable: !run.outgrown,
          },
    successor,
    timeline: timeline(detail),
  };
}

function timeline({ createdMs, dueMs, pastRuns, run, attempts }: JobDetail): TimelineEntry[] {
  const entries: TimelineEntry[] = [{ at: iso(createdMs), event: "created", attempt: null, worker: null }];
  for (const { attempt, workerId: id, address, startedMs, endedMs, reason } of pastRuns) {
    const of = { attempt, worker: { id, address } };
    entries.push({ at: iso(startedMs), event: "started", ...of });
    entries.push({ at: iso(endedMs), event: reason as TimelineEntry["event"], ...of });
  }
  if (dueMs > 0) entries.push({ at: iso(dueMs), event: "due", attempt: null, worker: null });
  if (run !== null) {
    const { id, address } = run.worker;
    entries.push({ at: iso(run.startedMs), event: "started", attempt: attempts, worker: { id, address } });
  }
  return entries.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
}

function peerJson({ id, address, client }: PeerView): PeerJson {
  return { id, address, client: shownText(client) };
}

export function outcomeJson({ handle, fn, unique, state, endedMs }: OutcomeRow): OutcomeJson {
  return {
    handle,
    function: shownText(fn),
    unique: shownText(unique),
    state: state as OutcomeJson["state"],
    ended: iso(endedMs),
  };
}

export function workerJson(worker: WorkerView): WorkerJson {
  return {
    ...peerJson(worker),
    state: worker.state,
    abilities: worker.abilities,
    functions: worker.functions.map(shownText),
    running: worker.running,
    jobs: worker.jobs.map(({ handle, fn, startedMs }) => ({
      handle,
      function: shownText(fn),
      started: iso(startedMs),
    })),
  };
}

export function deadLetterJson(letter: DeadLetterView): DeadLetterJson {
  const { handle, fn, unique, reason, attempts, priority, diedMs, workloadBytes } = letter;
  return {
    handle,
    function: shownText(fn),
    unique: shownText(unique),
    reason,
    attempts,
    priority,
    died: iso(diedMs),
    workloadBytes,
  };
}

export function scheduleJson({ schedule, nextMs, lastMs }: ScheduleTimes): ScheduleJson {
  const { name, cron, timeZone = "UTC", function: fn, unique = name, missed = "skip" } = schedule;
  return {
    name,
    cron,
    timeZone,
    function: fn,
    unique,
    missed,
    next: nextMs === Number.POSITIVE_INFINITY ? null : iso(nextMs),
    last: lastMs === 0 ? null : iso(lastMs),
  };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
