import type { Subject } from "./change.ts";
import type { RunResult } from "./events.ts";

/* Which failed builds keep their workspaces, so that somebody can look into them (Zuul §5.9). */

/** What is asked for: the workspaces of the next builds that fail. */
export interface AutoholdWish {
  readonly project: string;
  readonly job: string;
  /** Of exactly this change. */
  readonly change: string | null;
  /** Of refs and branches that this matches from the beginning. `null`, as `change` is: whatever it is about. */
  readonly ref: string | null;
}

interface HoldableBuild {
  readonly job: string;
  readonly subject: Subject;
}

/**
 * The wish that a build is for: the one that says most. Exactly its change goes before a matching ref, and that before its job
 * alone; of equal ones the older.
 * @param wishes Oldest first.
 * @param matches Whether a regular expression matches a text from the beginning.
 */
export function mostSpecific<T extends AutoholdWish>(
  wishes: readonly T[],
  build: HoldableBuild,
  matches: (pattern: string, text: string) => boolean,
): T | undefined {
  let best: { readonly wish: T; readonly rank: number } | undefined;
  for (const wish of wishes) {
    const rank = rankOf(wish, build, matches);
    if (rank > (best?.rank ?? 0)) best = { wish, rank };
  }
  return best?.wish;
}

/** 0: it is not for that build. */
function rankOf(
  { project, job, change, ref }: AutoholdWish,
  { job: ran, subject }: HoldableBuild,
  matches: (pattern: string, text: string) => boolean,
): number {
  if (subject.project !== project || ran !== job) return 0;
  if (change !== null) return subject.id === change ? 3 : 0;
  if (ref === null) return 1;
  const names = [subject.kind === "ref" ? subject.ref : null, subject.branch];
  return names.some((name) => name !== null && matches(ref, name)) ? 2 : 0;
}

const HELD: readonly string[] = ["FAILURE", "POST_FAILURE", "TIMED_OUT"];

/**
 * Whether what a run of an executor has come to keeps its workspace, if that is wished for: it has failed, and is not run again.
 * @param isLastAttempt Of a run whose preparation failed.
 */
export function isHoldable(result: RunResult, isLastAttempt: boolean): boolean {
  if (result.kind === "final") return HELD.includes(result.result);
  return result.kind === "retry" && (isLastAttempt || !result.again);
}
