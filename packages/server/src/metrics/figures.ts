import { setImmediate as nextTurn } from "node:timers/promises";
import type { JobServer } from "../job-server.ts";
import type { TransportName } from "../traffic.ts";
import {
  countsOfOthers,
  type FunctionFigures,
  figuresOf,
  type HistogramFigures,
  inSeconds,
  Levels,
  othersFigures,
} from "./function-figures.ts";
import { OTHERS, ShownNames } from "./function-names.ts";
import { type Health, healthOf, whyNotReady } from "./health.ts";

/** So many functions are looked at before jobs get their turn again: well below a millisecond. */
const FUNCTIONS_PER_TURN = 2000;

export interface TrafficFigures {
  readonly transport: TransportName;
  readonly open: number;
  readonly accepted: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

export interface CommitFigures {
  readonly failed: number;
  readonly isFailing: boolean;
  /** Of those that succeeded. */
  readonly seconds: HistogramFigures;
  /** Changes in each of those. */
  readonly changes: HistogramFigures;
  /** Jobs whose changes wait for the next commit. */
  readonly waiting: number;
  readonly storedJobs: number;
}

/** Everything that `/metrics` tells of the job server, as plain values. Counts are since the start, all else is now. */
/** Submissions that went to other servers of the fleet. */
export interface FleetFigures {
  readonly now: number;
  readonly forwarded: number;
  readonly asked: number;
  readonly rerouted: number;
  readonly refused: number;
}

export interface Figures {
  readonly health: Health;
  readonly isReady: boolean;
  readonly functions: readonly FunctionFigures[];
  /** All functions beyond `maxFunctionMetrics` in sum; null while there was none. */
  readonly others: FunctionFigures | null;
  readonly knownFunctions: number;
  readonly summedFunctions: number;
  readonly traffic: readonly TrafficFigures[];
  readonly packets: number;
  readonly jobs: number;
  readonly submissionsWaiting: number;
  readonly workloadBytes: number;
  readonly replayBytes: number;
  readonly deadLetters: number;
  readonly deadLettersMade: number;
  readonly deadLettersEvicted: number;
  readonly slowReaders: number;
  readonly protocolViolations: number;
  readonly lateReports: number;
  /** Undefined where there is no fleet. */
  readonly fleet: FleetFigures | undefined;
  readonly overruns: number;
  readonly replays: number;
  readonly lingered: number;
  /** How often each limit refused something. */
  readonly limitHits: Readonly<Record<string, number>>;
  /** Null without a store. */
  readonly commits: CommitFigures | null;
}

/** Reads everything. With very many functions jobs get their turn in between. */
export async function collectFigures(server: JobServer): Promise<Figures> {
  const { core } = server;
  const { state } = core;
  const nowMs = performance.now();
  const names = new ShownNames();
  const own = state.ownTimes.functions;
  const functions: FunctionFigures[] = [];
  for (const fn of own) functions.push(figuresOf(fn, names.of(fn.name), nowMs));
  const others = countsOfOthers(state);
  const rest = { ...globalFigures(server), knownFunctions: state.functions.size };
  const levels = new Levels();
  if (state.functions.size > own.size) {
    let seen = 0;
    for (const fn of state.functions.values()) {
      if (!own.has(fn)) levels.add(fn, nowMs);
      if (++seen % FUNCTIONS_PER_TURN === 0) await nextTurn();
    }
  }
  const hasOthers = levels.functions > 0 || others.submissions > 0 || others.runs > 0;
  return {
    ...rest,
    functions,
    others: hasOthers ? othersFigures(OTHERS, others, levels, state.ownTimes.others) : null,
    summedFunctions: levels.functions,
  };
}

function globalFigures(
  server: JobServer,
): Omit<Figures, "functions" | "others" | "knownFunctions" | "summedFunctions"> {
  const { state } = server.core;
  const { slowReaders, lateReports, overruns, replays, lingered } = state.counts;
  const { counts: notes, limitHits } = server.noteCounts;
  return {
    health: healthOf(server),
    isReady: whyNotReady(server).length === 0,
    traffic: [...server.traffic.entries()].map(([transport, traffic]) => ({ transport, ...traffic })),
    packets: state.packets,
    jobs: state.jobs.size,
    submissionsWaiting: state.submissionCount,
    workloadBytes: state.workloadBytes,
    replayBytes: state.replayBytes,
    deadLetters: state.deadLetters.size,
    deadLettersMade: notes.get("DEAD_LETTER") ?? 0,
    deadLettersEvicted: notes.get("DEAD_LETTER_EVICTED") ?? 0,
    slowReaders,
    protocolViolations: notes.get("PROTOCOL_VIOLATION") ?? 0,
    lateReports,
    fleet: state.fleet === null ? undefined : { ...state.fleet.counts, now: state.fleet.size },
    overruns,
    replays,
    lingered,
    limitHits: Object.fromEntries(limitHits),
    commits: commitFigures(server),
  };
}

function commitFigures(server: JobServer): CommitFigures | null {
  const { journal } = server.core.state;
  const counts = server.commitCounts;
  if (journal === null || counts === undefined) return null;
  const { bounds, counts: sizes, sum } = counts.sizes;
  return {
    failed: counts.failed,
    isFailing: server.storeState !== "ok",
    seconds: inSeconds(counts.durations),
    changes: { bounds, counts: [...sizes], sum },
    waiting: journal.length,
    storedJobs: journal.storedCount,
  };
}
