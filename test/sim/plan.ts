import {
  DEFAULT_FUNCTION_SETTINGS,
  DEFAULT_LIMITS,
  type FunctionSettings,
  type Limits,
  type TimeoutUnit,
} from "../../packages/server/src/core/index.ts";
import { Random } from "./random.ts";

/** What a seed means: the server's limits and settings, who takes part, and how bad the network is. */
export interface Plan {
  readonly seed: number;
  readonly limits: Limits;
  readonly functions: readonly string[];
  readonly settings: ReadonlyMap<string, FunctionSettings>;
  readonly wakeAtLeast: number;
  readonly timeoutUnit: TimeoutUnit;
  readonly exceptionsForAll: boolean;
  readonly firstHandle: number;
  readonly clients: number;
  readonly workers: number;
  readonly admins: number;
  readonly nonsense: number;
  /** Uniques in use for each function: few, so that submissions join. */
  readonly uniques: number;
  /** Chance of a workload, report or result that is large enough to be passed on in the pieces it came in. */
  readonly largeRate: number;
  /** Milliseconds between two actions of a client. */
  readonly pace: number;
  /** Largest delay of a delivery. */
  readonly delayMs: number;
  /** Chance that a delivery is cut at any byte. */
  readonly cutRate: number;
  /** Chance, per action of an actor, that its connection breaks. */
  readonly lossRate: number;
  /** Chance, per action of an actor, that it stops reading for a while. */
  readonly stallRate: number;
  /** Chance that the shell handles one more event before it sends. */
  readonly batchRate: number;
  /** The server learns of a jump of the wall clock at once, not at the next event. */
  readonly noticesJumps: boolean;
  /** How late due times are noticed. */
  readonly tickLateMs: number;
  /** Chance that a worker does something else than a good worker would. */
  readonly faultRate: number;
  /** Steps between two full walks through the state. */
  readonly walkEvery: number;
}

/** The largest workload, report or result; the server passes on what is above 32 KiB in pieces. */
const LARGEST_BYTES = 80_000;

/** Workload, report or result bytes of a large packet. */
export function largeSize(random: Random): number {
  return random.between(30_000, LARGEST_BYTES);
}

/** The plan of a seed. Most seeds leave most limits alone, so that each fault is seen with and without the others. */
export function makePlan(seed: number): Plan {
  const random = new Random(seed, 1_000_000);
  const functions = ["f0", "f1", "f2", "f3"].slice(0, random.between(1, 4));
  const settings = new Map<string, FunctionSettings>();
  for (const name of functions) settings.set(name, makeSettings(random));
  const calm = random.chance(0.15);
  const limits = makeLimits(random);
  return {
    seed,
    limits,
    functions,
    settings,
    wakeAtLeast: random.pick([0, 0, 1, 2]),
    timeoutUnit: random.pick(["ms", "ms", "auto", "s"] as const),
    exceptionsForAll: random.chance(0.2),
    firstHandle: random.pick([1, 1, 99_999_990, 1_700_000_000_000_000]),
    clients: random.between(1, 5),
    workers: random.between(1, 5),
    admins: random.between(0, 1),
    nonsense: random.between(0, 2),
    uniques: random.between(1, 6),
    largeRate: limits.maxPacketBytes >= LARGEST_BYTES ? 0.05 : 0,
    pace: random.pick([3, 10, 10, 30]),
    delayMs: random.pick([0, 1, 5, 20]),
    cutRate: random.pick([0, 0.2, 0.6]),
    lossRate: calm ? 0 : random.pick([0, 0.002, 0.01, 0.03]),
    stallRate: calm ? 0 : random.pick([0, 0.005, 0.03]),
    batchRate: random.pick([0, 0.1, 0.5]),
    noticesJumps: random.chance(0.5),
    tickLateMs: random.pick([0, 0, 0, 15]),
    faultRate: calm ? 0 : random.pick([0.05, 0.2, 0.5]),
    walkEvery: random.pick([1, 5, 11, 23]),
  };
}

/** Settings of one function. Also used for changes while the server runs. */
export function makeSettings(random: Random): FunctionSettings {
  const queue = random.chance(0.1) ? random.between(1, 12) : 0;
  const retry = random.chance(0.3)
    ? {
        maxAttempts: random.between(1, 4),
        backoff: { initialMs: random.between(1, 50), maxMs: 120, factor: 2, jitter: random.pick([0, 0.3]) },
      }
    : undefined;
  return {
    ...DEFAULT_FUNCTION_SETTINGS,
    maxRunning: random.pick([0, 0, 1, 2, 3]),
    maxQueue: random.chance(0.5) ? [queue, queue, queue] : [queue * 2, queue, queue],
    lingerMs: random.chance(0.3) ? random.between(10, 400) : 0,
    replayLimitBytes: random.chance(0.3) ? random.pick([0, 60, 200]) : undefined,
    onAbandoned: random.pick(["keep", "cancel"] as const),
    onTimeout: random.pick(["fail", "retry"] as const),
    maxAttempts: random.pick([0, 1, 2, 3, 10]),
    retry,
    restartWarning: random.chance(0.4),
  };
}

function makeLimits(random: Random): Limits {
  const sometimes = (probability: number, low: number, high: number, otherwise: number) =>
    random.chance(probability) ? random.between(low, high) : otherwise;
  const pauseBytes = random.pick([150, 600, 3000, DEFAULT_LIMITS.pauseBytes]);
  return {
    ...DEFAULT_LIMITS,
    maxPacketBytes: random.chance(0.1) ? LARGEST_BYTES + 1_000 : 20_000,
    maxLineBytes: 300,
    maxFunctionBytes: 64,
    maxUniqueBytes: 64,
    maxJobs: sometimes(0.15, 5, 60, DEFAULT_LIMITS.maxJobs),
    maxSubmissions: sometimes(0.15, 3, 40, DEFAULT_LIMITS.maxSubmissions),
    maxWorkloadBytes: sometimes(0.15, 300, 6000, DEFAULT_LIMITS.maxWorkloadBytes),
    replayLimitBytes: random.pick([0, 80, 400, 4000, DEFAULT_LIMITS.replayLimitBytes]),
    replayTotalBytes: sometimes(0.2, 300, 4000, DEFAULT_LIMITS.replayTotalBytes),
    lingerTotalBytes: sometimes(0.3, 50, 3000, DEFAULT_LIMITS.lingerTotalBytes),
    pauseBytes,
    backlogBytes: pauseBytes + random.pick([200, 4000, DEFAULT_LIMITS.backlogBytes]),
    unfinishedMs: random.between(100, 2000),
    wakeGraceMs: random.between(1, 60),
    maxDeadLetters: random.between(1, 8),
    deadLetterBytes: random.between(100, 3000),
    outcomeMs: random.between(50, 3000),
    maxOutcomes: random.between(1, 40),
    maxTraceLinks: random.below(4),
    idleFunctionMs: random.between(50, 3000),
  };
}
