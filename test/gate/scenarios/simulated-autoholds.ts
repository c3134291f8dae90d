import { DatabaseSync } from "node:sqlite";
import { AUTOHOLD_MIGRATIONS, AutoholdTable } from "../../../packages/gate/src/autohold/index.ts";
import { isHoldable, type RunResult, type Subject } from "../../../packages/gate/src/core/index.ts";
import type { AutoholdSetup } from "./world.ts";

const HOLD_MS = 3_600_000;

interface Ended {
  readonly build: number;
  readonly job: string;
  readonly subject: Subject;
  /** In the notation of scenarios. */
  readonly name: string;
  /** Of an execution that several may share. */
  readonly execution: string;
  readonly isLastAttempt: boolean;
}

/** What a gate holds of builds that fail: its own table, around which executors keep at once what they are to keep. */
export class SimulatedAutoholds {
  readonly #table: AutoholdTable;
  /** By their names in the scenario. */
  readonly #ids = new Map<string, number>();
  readonly #names = new Map<number, string>();
  #nowMs = 0;

  constructor() {
    const db = new DatabaseSync(":memory:");
    for (const { sql } of AUTOHOLD_MIGRATIONS) db.exec(sql);
    this.#table = new AutoholdTable({ db, transaction: (change) => change() });
  }

  ask(name: string, { project, job, change, branch, count = 1 }: AutoholdSetup): void {
    const of = { change: change ?? null, ref: branch ?? null };
    const asked = { project, job, ...of, reason: name, askedBy: "root", count };
    const { id } = this.#table.add({ ...asked, holdMs: HOLD_MS, madeMs: this.#nowMs })!;
    this.#ids.set(name, id);
  }

  ended({ build, job, subject, name, execution, isLastAttempt }: Ended, result: RunResult): void {
    if (!isHoldable(result, isLastAttempt)) return;
    const autohold = this.#table.forBuild(job, subject);
    if (autohold === undefined) return;
    this.#names.set(build, name);
    const [sinceMs, untilMs] = [this.#nowMs, this.#nowMs + autohold.holdMs];
    const held = { execution, executor: "simulated", autohold: autohold.id, build, buildset: 0 };
    this.#table.hold({ ...held, sinceMs, untilMs });
  }

  /** Of a request: how many builds are still to be held, and which are. `undefined`: there is none any more. */
  of(name: string): { readonly left: number; readonly held: readonly string[] } | undefined {
    const found = this.#table.list().find(({ id }) => id === this.#ids.get(name));
    if (found === undefined) return undefined;
    const held = this.#table.held().filter(({ autohold }) => autohold === found.id);
    return { left: found.count, held: held.map(({ build }) => this.#names.get(build)!).sort() };
  }

  /** Lets the time pass for which anything is held now. */
  pass(): void {
    this.#nowMs += HOLD_MS;
    this.#table.expire(this.#nowMs);
  }
}
