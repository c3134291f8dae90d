import type { Log } from "@drover/server";
import { type BuildId, isHoldable, type RunResult } from "../core/index.ts";
import type { BuildOutcome, Executor, HeldWorkspace } from "../executor/index.ts";
import type { BuildRow, BuildTable } from "../scheduler/build-table.ts";
import type { AutoholdTable, HeldBuild } from "./autohold-table.ts";

/** How often it is looked at what this process's own executor holds. */
const TEND_MS = 5_000;
/** What an executor holds and nobody here knows of may have a result that is still on its way, for so long. */
export const UNKNOWN_MS = 600_000;
const FRESH_MS = 60_000;

interface Parts {
  readonly table: AutoholdTable;
  readonly builds: Pick<BuildTable, "get" | "frozen">;
  /** Builds that go by this name on executors. */
  readonly buildsNamed: (name: string) => readonly BuildId[];
  readonly log: Log;
  readonly nowMs: () => number;
}

/**
 * Requests to hold the workspaces of builds that fail. An executor asks when a build has failed, keeps the workspace, and says so
 * with the result, which counts. What it holds and what is known here are compared again and again, so that nothing is held that
 * nobody wishes any more, wherever either was ended meanwhile.
 */
export class Autoholds {
  readonly table: AutoholdTable;
  readonly #parts: Parts;
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;

  constructor(parts: Parts) {
    this.table = parts.table;
    this.#parts = parts;
  }

  /** For how long an executor is to keep the workspace of a build that has ended so; `null`: it is not. */
  holdMs(name: string, result: RunResult): number | null {
    let longestMs: number | null = null;
    for (const id of this.#parts.buildsNamed(name)) {
      const row = this.#parts.builds.get(id);
      if (row === undefined || row.endedMs !== null || !isHoldable(result, this.#isLast(row))) continue;
      const wish = this.table.forBuild(row.job, row.subject);
      if (wish !== undefined) longestMs = Math.max(longestMs ?? 0, wish.holdMs);
    }
    return longestMs;
  }

  #isLast({ buildset, job, attempt }: BuildRow): boolean {
    const jobs = Object.values(this.#parts.builds.frozen(buildset)?.jobs ?? {});
    return attempt >= (jobs.find(({ name }) => name === job)?.attempts ?? 1);
  }

  /** A build has ended, and its workspace is kept. In the transaction of its end. */
  keep({ id, job, subject, buildset }: BuildRow, { execution, held }: BuildOutcome): void {
    const wish = this.table.forBuild(job, subject);
    if (held === undefined || wish === undefined) return;
    const sinceMs = this.#parts.nowMs();
    const untilMs = Math.min(held.untilMs, sinceMs + wish.holdMs);
    const { executor } = held;
    this.table.hold({ execution, executor, autohold: wish.id, build: id, buildset, sinceMs, untilMs });
  }

  held(nowMs: number): HeldBuild[] {
    return this.table.held().filter(({ untilMs }) => untilMs > nowMs);
  }

  /**
   * Compares what an executor holds with what is known of it.
   * @returns Executions whose workspaces it is to let go.
   */
  compare(executor: string, there: readonly HeldWorkspace[]): string[] {
    const nowMs = this.#parts.nowMs();
    this.table.expire(nowMs);
    const of = (list: readonly HeldBuild[]) => list.filter((one) => one.executor === executor);
    const [wanted, unwanted] = [of(this.table.held()), of(this.table.letGo())];
    const present = new Set(there.map(({ execution }) => execution));
    // What was said of the workspaces may be from before the newest was there.
    const isGone = ({ execution, sinceMs }: HeldBuild) =>
      !present.has(execution) && sinceMs < nowMs - FRESH_MS;
    for (const { execution } of [...wanted, ...unwanted].filter(isGone)) this.table.forget(execution);
    const stays = new Set(wanted.map(({ execution }) => execution));
    const goes = new Set(unwanted.map(({ execution }) => execution));
    return there
      .filter(
        ({ execution, sinceMs }) =>
          !stays.has(execution) && (goes.has(execution) || sinceMs < nowMs - UNKNOWN_MS),
      )
      .map(({ execution }) => execution);
  }

  /** Looks after what an executor of this process holds. */
  tend(name: string, executor: Executor): void {
    const look = async (): Promise<void> => {
      const { log, nowMs } = this.#parts;
      try {
        await executor.letGoExpired(nowMs());
        for (const execution of this.compare(name, await executor.held())) await executor.letGo(execution);
      } catch (error) {
        log.warn({ error }, "held workspaces were not looked after");
      }
      if (!this.#isOver) this.#timer = setTimeout(() => void look(), TEND_MS).unref();
    };
    void look();
  }

  close(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }
}
