import type { Executor } from "../executor/index.ts";

/** An executor or a merger as it tells of itself. */
export interface WorkerFacts {
  readonly kind: "executor" | "merger";
  /** Tells it from the others, such as the name of its machine. */
  readonly name: string;
  /** Whether the job server has it. */
  readonly isConnected: boolean;
  /** Whether it takes more; else `why` says what keeps it from that. */
  readonly accepts: boolean;
  readonly why: string | null;
  /** Things at a time. */
  readonly slots: number;
  /** Names of builds that run there; of a merger, none. */
  readonly running: readonly string[];
  /** How builds are kept apart; `null` of a merger. */
  readonly isolation: string | null;
}

export interface KnownWorker extends WorkerFacts {
  /** In the gate's own process. */
  readonly isHere: boolean;
  readonly seenMs: number;
  /** It has not told of itself for a while. */
  readonly isSilent: boolean;
}

/** How often a worker tells of itself. */
export const TELL_MS = 5_000;
/** After how long it counts as silent, and after how long it is forgotten. */
export const SILENT_MS = 20_000;
export const FORGOTTEN_MS = 600_000;
/** Workers that are known at a time. */
export const MAX_WORKERS = 1_000;

/** Which executors and mergers there are. It is for people to see: what they do comes and goes by the job server. */
export class WorkerList {
  readonly #nowMs: () => number;
  readonly #others = new Map<string, WorkerFacts & { readonly seenMs: number }>();
  readonly #here: () => readonly WorkerFacts[];

  /** @param here Those of this process, as they are now. */
  constructor(here: () => readonly WorkerFacts[], nowMs: () => number = Date.now) {
    this.#here = here;
    this.#nowMs = nowMs;
  }

  /** @returns false when there are too many. */
  tell(facts: WorkerFacts): boolean {
    this.#forget();
    const key = `${facts.kind} ${facts.name}`;
    if (!this.#others.has(key) && this.#others.size >= MAX_WORKERS) return false;
    this.#others.set(key, { ...facts, seenMs: this.#nowMs() });
    return true;
  }

  list(): KnownWorker[] {
    this.#forget();
    const nowMs = this.#nowMs();
    const here = this.#here().map((one) => ({ ...one, isHere: true, seenMs: nowMs, isSilent: false }));
    const others = [...this.#others.values()].map((one) => ({
      ...one,
      isHere: false,
      isSilent: nowMs - one.seenMs > SILENT_MS,
    }));
    others.sort((a, b) => (`${a.kind} ${a.name}` < `${b.kind} ${b.name}` ? -1 : 1));
    return [...here, ...others];
  }

  #forget(): void {
    const since = this.#nowMs() - FORGOTTEN_MS;
    for (const [key, { seenMs }] of this.#others) if (seenMs < since) this.#others.delete(key);
  }
}

/** What an executor of this process tells of itself. */
export function executorFacts(name: string, executor: Executor, slots: number): WorkerFacts {
  const { builds, isolation } = executor;
  return {
    kind: "executor",
    name,
    isConnected: true,
    accepts: true,
    why: null,
    slots,
    running: builds,
    isolation,
  };
}

/** What a merger of this process tells of itself. */
export function mergerFacts(name: string, slots: number): WorkerFacts {
  return {
    kind: "merger",
    name,
    isConnected: true,
    accepts: true,
    why: null,
    slots,
    running: [],
    isolation: null,
  };
}
