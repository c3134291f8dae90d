import type { Log } from "../note-log.ts";

/** Something that an administrator did or tried with the right to it, over any transport. */
export interface AdministrativeAct {
  /** Name of the identity that did it. */
  readonly identity: string;
  /** What: `cancel`, `pause`, `maxqueue`, … */
  readonly act: string;
  /** To which function, job or dead letter. */
  readonly target: string;
  /** Address of the peer. */
  readonly from: string;
  /** `OK`, or the error that was answered. */
  readonly result: string;
}

/** Writes an entry of the audit log: never suppressed, and marked so that it can be told from everything else. */
export function auditEntry(log: Log, act: AdministrativeAct): void {
  log.info({ code: "ADMIN_ACT", audit: true, ...act }, "an administrative act");
}
