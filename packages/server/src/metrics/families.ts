import type { Figures } from "./figures.ts";
import type { FunctionFigures, HistogramFigures } from "./function-figures.ts";

type Kind = "counter" | "gauge";

/** A metric of each function, under its label `function`. */
export interface FunctionFamily {
  readonly name: string;
  readonly kind: Kind;
  readonly help: string;
  /** Null: the function has none. */
  readonly value: (figures: FunctionFigures) => number | null;
}

export interface FunctionHistogram {
  readonly name: string;
  readonly help: string;
  readonly value: (figures: FunctionFigures) => HistogramFigures;
}

/** A metric of the server, with at most one label. */
export interface ServerFamily {
  readonly name: string;
  readonly kind: Kind;
  readonly help: string;
  readonly label?: string;
  /** Values, each with its label's where there is one; empty: there is none. */
  readonly values: (figures: Figures) => readonly (readonly [number, string?])[];
}

export interface ServerHistogram {
  readonly name: string;
  readonly help: string;
  readonly value: (figures: Figures) => HistogramFigures | undefined;
}

export const FUNCTION_FAMILIES: readonly FunctionFamily[] = [
  {
    name: "drover_submissions_total",
    kind: "counter",
    help: "Submissions of clients, joined and refused ones among them.",
    value: (fn) => fn.submissions,
  },
  {
    name: "drover_joins_total",
    kind: "counter",
    help: "Submissions that joined a job of their unique, or were answered by its lingering result.",
    value: (fn) => fn.joins,
  },
  {
    name: "drover_runs_total",
    kind: "counter",
    help: "Executions: jobs given to workers, each time anew.",
    value: (fn) => fn.runs,
  },
  {
    name: "drover_jobs_completed_total",
    kind: "counter",
    help: "Runs that ended by WORK_COMPLETE.",
    value: (fn) => fn.completed,
  },
  {
    name: "drover_jobs_failed_total",
    kind: "counter",
    help: "Runs that failed, by report, exception, timeout or cancel; and jobs whose attempts were spent by losses.",
    value: (fn) => fn.failed,
  },
  {
    name: "drover_runs_lost_total",
    kind: "counter",
    help: "Runs whose worker was lost.",
    value: (fn) => fn.lost,
  },
  {
    name: "drover_jobs_queued",
    kind: "gauge",
    help: "Jobs that wait for a worker.",
    value: (fn) => fn.queued,
  },
  {
    name: "drover_jobs_delayed",
    kind: "gauge",
    help: "Jobs that wait for their time, or for their next attempt.",
    value: (fn) => fn.delayed,
  },
  { name: "drover_jobs_running", kind: "gauge", help: "Jobs that run.", value: (fn) => fn.running },
  {
    name: "drover_runs_overdue",
    kind: "gauge",
    help: "Runs that ended for the server, by timeout or cancel, and go on at their workers.",
    value: (fn) => fn.overruns,
  },
  {
    name: "drover_workers",
    kind: "gauge",
    help: "Connections that registered the function.",
    value: (fn) => fn.workers,
  },
  {
    name: "drover_workers_wanted",
    kind: "gauge",
    help:
      "Worker slots that could be busy now: jobs that wait or run, which all differ in their unique since equal ones " +
      "joined, and no more than maxRunning where it is set. Scale workers to this divided by the slots of one.",
    value: (fn) => fn.workersWanted,
  },
  {
    name: "drover_oldest_queued_age_seconds",
    kind: "gauge",
    help: "For how long the first job in its queue has been waiting for a worker; 0 when none waits.",
    value: (fn) => fn.oldestQueuedSeconds,
  },
  {
    name: "drover_join_ratio",
    kind: "gauge",
    help: "Submissions for each execution since the start; absent before the first one.",
    value: (fn) => fn.joinRatio,
  },
];

export const FUNCTION_HISTOGRAMS: readonly FunctionHistogram[] = [
  {
    name: "drover_wait_seconds",
    help: "From a foreground submission to the end it was told: what callers wait.",
    value: (fn) => fn.waitSeconds,
  },
  {
    name: "drover_queue_seconds",
    help: "From when a job could first run to a worker's grab; a run that was lost on the way counts in.",
    value: (fn) => fn.queueSeconds,
  },
  {
    name: "drover_run_seconds",
    help: "From a worker's grab to its last report. Lost runs have none.",
    value: (fn) => fn.runSeconds,
  },
];

const plain = (
  name: string,
  kind: Kind,
  help: string,
  value: (figures: Figures) => number | undefined,
): ServerFamily => ({
  name,
  kind,
  help,
  values: (figures) => {
    const found = value(figures);
    return found === undefined ? [] : [[found]];
  },
});

const byTransport = (
  name: string,
  kind: Kind,
  help: string,
  field: "open" | "accepted" | "receivedBytes" | "sentBytes",
): ServerFamily => ({
  name,
  kind,
  help,
  label: "transport",
  values: ({ traffic }) => traffic.map((one) => [one[field], one.transport]),
});

export const SERVER_FAMILIES: readonly ServerFamily[] = [
  {
    name: "drover_info",
    kind: "gauge",
    help: "Always 1; the label is the server's version.",
    label: "version",
    values: ({ health }) => [[1, health.version]],
  },
  plain("drover_ready", "gauge", "Whether /readyz says yes.", ({ isReady }) => Number(isReady)),
  plain("drover_functions", "gauge", "Functions that are known.", (all) => all.knownFunctions),
  plain(
    "drover_functions_summed",
    "gauge",
    'Functions beyond limits.maxFunctionMetrics, which have no metrics but in sum, as function="(other)".',
    (all) => all.summedFunctions,
  ),
  byTransport(
    "drover_connections",
    "gauge",
    "Connections that are open; HTTP requests count while open.",
    "open",
  ),
  byTransport("drover_connections_accepted_total", "counter", "Connections that were accepted.", "accepted"),
  byTransport("drover_received_bytes_total", "counter", "Bytes of packets received.", "receivedBytes"),
  byTransport("drover_sent_bytes_total", "counter", "Bytes of packets handed to the transport.", "sentBytes"),
  plain("drover_received_packets_total", "counter", "Packets received.", (all) => all.packets),
  plain("drover_jobs", "gauge", "Jobs in any state.", (all) => all.jobs),
  plain(
    "drover_submissions_waiting",
    "gauge",
    "Foreground submissions that wait for their job's end.",
    (all) => all.submissionsWaiting,
  ),
  plain("drover_workload_bytes", "gauge", "Bytes of workloads held.", (all) => all.workloadBytes),
  plain("drover_replay_bytes", "gauge", "Bytes of reports held for late joiners.", (all) => all.replayBytes),
  plain(
    "drover_slow_readers_dropped_total",
    "counter",
    "Connections closed because they did not read.",
    (all) => all.slowReaders,
  ),
  {
    name: "drover_limit_hits_total",
    kind: "counter",
    help: "Requests and connections refused by the limit that the label names. Absent before its first.",
    label: "limit",
    values: ({ limitHits }) => Object.entries(limitHits).map(([limit, hits]) => [hits, limit]),
  },
  plain(
    "drover_protocol_violations_total",
    "counter",
    "Connections closed for nonsense.",
    (all) => all.protocolViolations,
  ),
  plain(
    "drover_late_reports_total",
    "counter",
    "Reports of workers on jobs that were not theirs any more.",
    (all) => all.lateReports,
  ),
  plain(
    "drover_forwarded",
    "gauge",
    "Submissions that are at other servers of the fleet. Absent without one.",
    ({ fleet }) => fleet?.now,
  ),
  plain(
    "drover_forwarded_total",
    "counter",
    "Submissions that went to other servers of the fleet. Absent without one.",
    ({ fleet }) => fleet?.forwarded,
  ),
  plain(
    "drover_forwards_rerouted_total",
    "counter",
    "Forwarded submissions whose server was lost, and which went to another. Absent without a fleet.",
    ({ fleet }) => fleet?.rerouted,
  ),
  plain(
    "drover_forwards_refused_total",
    "counter",
    "Forwarded submissions that the other server refused. Absent without a fleet.",
    ({ fleet }) => fleet?.refused,
  ),
  plain(
    "drover_overruns_total",
    "counter",
    "Runs that went on beyond their end, by timeout or cancel.",
    (all) => all.overruns,
  ),
  plain(
    "drover_replays_total",
    "counter",
    "Late joiners that were told earlier data and warnings.",
    (all) => all.replays,
  ),
  plain(
    "drover_lingering_answers_total",
    "counter",
    "Submissions answered by a result that lingered.",
    (all) => all.lingered,
  ),
  plain("drover_dead_letters", "gauge", "Dead letters that are kept.", (all) => all.deadLetters),
  plain(
    "drover_dead_letters_made_total",
    "counter",
    "Background jobs given up after their last attempt.",
    (all) => all.deadLettersMade,
  ),
  plain(
    "drover_dead_letters_evicted_total",
    "counter",
    "Dead letters dropped for want of room.",
    (all) => all.deadLettersEvicted,
  ),
  plain(
    "drover_stored_jobs",
    "gauge",
    "Background jobs that the store has or is to have, dead letters aside. Absent without a store.",
    ({ commits }) => commits?.storedJobs,
  ),
  plain(
    "drover_commit_waiting_jobs",
    "gauge",
    "Jobs whose changes wait for the next commit. Absent without a store.",
    ({ commits }) => commits?.waiting,
  ),
  plain(
    "drover_commit_failures_total",
    "counter",
    "Commits that failed. Absent without a store.",
    ({ commits }) => commits?.failed,
  ),
  plain(
    "drover_store_failing",
    "gauge",
    "1 while the last commit has failed, or the jobs are another server's. Absent without a store.",
    ({ commits }) => (commits === null ? undefined : Number(commits.isFailing)),
  ),
];

export const SERVER_HISTOGRAMS: readonly ServerHistogram[] = [
  {
    name: "drover_commit_seconds",
    help: "How long the commits took that succeeded; the count is their number. Absent without a store.",
    value: ({ commits }) => commits?.seconds,
  },
  {
    name: "drover_commit_changes",
    help: "Changes in each commit that succeeded: the batch size. Absent without a store.",
    value: ({ commits }) => commits?.changes,
  },
];
