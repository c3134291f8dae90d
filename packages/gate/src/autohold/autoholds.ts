import type { Log } from "@drover/server";
import type { BuildId, BuildsetId, Subject } from "../core/index.ts";
import type { Executor } from "../executor/index.ts";
import type { Autohold, AutoholdTable, HeldBuild } from "./autohold-table.ts";

/**
 * Requests to hold the workspaces of builds that fail, and the executor that holds them. It is told when a build starts, since it
 * would have removed the workspace before anybody could ask for it: builds that run already are not held.
 */
export class Autoholds {
  readonly table: AutoholdTable;
  readonly #executor: Executor | undefined;
  readonly #log: Log;

  /** @param executor Of this process. Without it nothing is held. */
  constructor(table: AutoholdTable, executor: Executor | undefined, log: Log) {
    this.table = table;
    this.#executor = executor;
    this.#log = log;
  }

  /** How long a build is to be held if it fails; `undefined`: it is not. */
  holdMsFor(job: string, subject: Subject): number | undefined {
    return this.#executor === undefined ? undefined : this.table.forBuild(job, subject)?.holdMs;
  }

  /** The executor has kept a workspace. Where others were sooner it is let go. */
  keep(
    { id, job, subject, buildset }: BuildOfHeld,
    { execution, untilMs }: { readonly execution: string; readonly untilMs: number },
  ): void {
    const wish = this.table.forBuild(job, subject);
    if (wish === undefined || !this.table.hold(id, buildset, execution, wish, untilMs))
      this.#letGo([{ execution }]);
  }

  held(nowMs: number): HeldBuild[] {
    return this.table.held().filter(({ untilMs }) => untilMs > nowMs);
  }

  /** Takes a request back, and lets go what is held for it. @returns Whether there is one. */
  remove(id: Autohold["id"]): boolean {
    const held = this.table.remove(id);
    if (held !== undefined) this.#letGo(held);
    return held !== undefined;
  }

  /** Lets go what was held long enough. */
  async expire(nowMs: number): Promise<void> {
    this.#letGo(this.table.expire(nowMs));
    await this.#executor?.letGoExpired(nowMs);
  }

  #letGo(held: readonly Pick<HeldBuild, "execution">[]): void {
    for (const { execution } of held)
      void this.#executor
        ?.letGo(execution)
        .catch((error: Error) => this.#log.warn({ execution, error }, "a held workspace was not removed"));
  }
}

interface BuildOfHeld {
  readonly id: BuildId;
  readonly job: string;
  readonly subject: Subject;
  readonly buildset: BuildsetId;
}
