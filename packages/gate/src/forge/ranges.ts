import type { ChangeRow, ChangeTable, KnownCommit } from "./change-table.ts";
import { type PushedCommit, short } from "./commits.ts";
import { PushRefused } from "./errors.ts";
import { shown, type Wish } from "./names.ts";
import type { User } from "./users.ts";

/** Commits of a push that make one change. */
export interface Group {
  readonly head: PushedCommit;
  /** Newest first; the head is among them. */
  readonly commits: readonly PushedCommit[];
  readonly changeId: string | null;
  /** The change that they revise; `null`: they are a new one. */
  readonly target: ChangeRow | null;
}

export type Range =
  | { readonly kind: "changes" /** Oldest first. */; readonly groups: readonly Group[] }
  /** The tip is what a change is already. */
  | { readonly kind: "same"; readonly number: number };

const CHANGE_ID = /^I[0-9a-f]{8,64}$/i;

/**
 * Splits a push into changes. Its range is the commits that neither the branch nor a revision of a change has; each commit
 * with a `Change-Id`, and the tip, ends a change, and those without belong to the next.
 * @param commits First parents from the tip on that the branch does not have, newest first; not empty.
 * @throws PushRefused
 */
export function splitRange(
  commits: readonly PushedCommit[],
  at: { readonly project: string; readonly wish: Wish; readonly user: User },
  table: ChangeTable,
): Range {
  const { project, wish, user } = at;
  const known = (id: string): KnownCommit[] => table.known(project, wish.branch, id);
  const tip = commits[0]!;
  const before = known(tip.id)[0];
  if (
    before?.isCurrent &&
    before.isHead &&
    before.state === "open" &&
    (wish.change ?? before.number) === before.number
  )
    return { kind: "same", number: before.number };
  if (before !== undefined) refuseKnown(tip, before);

  const groups: {
    head: PushedCommit;
    commits: PushedCommit[];
    changeId: string | null;
    target: ChangeRow | null;
  }[] = [];
  const seen = new Set<string>();
  for (const commit of commits) {
    const changeId = changeIdOf(commit);
    const current = groups.at(-1);
    const owners = commit === tip ? [] : known(commit.id);
    const isOwn = owners.some(({ number }) => number === current?.target?.number);
    if (owners.length > 0 && !isOwn) break;
    if (current !== undefined && (changeId === null || isOwn)) {
      if (changeId !== null && changeId === current.changeId) throw twice(changeId);
      current.commits.push(commit);
      continue;
    }
    if (changeId !== null && seen.has(changeId)) throw twice(changeId);
    if (changeId !== null) seen.add(changeId);
    const target = targetOf(commit, changeId, commit === tip, at, table, before);
    groups.push({ head: commit, commits: [commit], changeId: changeId ?? target?.changeId ?? null, target });
  }
  const targets = groups.flatMap(({ target }) => (target === null ? [] : [target.number]));
  if (new Set(targets).size < targets.length)
    throw new PushRefused("two commits of the push would be one change");
  for (const { target } of groups) if (target !== null) checkMayRevise(target, user);
  return { kind: "changes", groups: groups.reverse() };
}

/** A tip that belongs to a change already may be pushed again only as the head of an older revision. */
function refuseKnown({ id }: PushedCommit, { number, state, isCurrent, isHead }: KnownCommit): void {
  if (state === "merged") throw new PushRefused(`${short(id)} has merged already, as change ${number}`);
  if (state === "abandoned")
    throw new PushRefused(`change ${number} is abandoned: drover gate restore ${number}`);
  if (isCurrent && !isHead) throw new PushRefused(`${short(id)} is already a part of change ${number}`);
}

function targetOf(
  commit: PushedCommit,
  changeId: string | null,
  isTip: boolean,
  { project, wish, user }: { readonly project: string; readonly wish: Wish; readonly user: User },
  table: ChangeTable,
  before: KnownCommit | undefined,
): ChangeRow | null {
  const named = isTip && wish.change !== null ? namedChange(wish.change, project, wish.branch, table) : null;
  if (changeId !== null) {
    const found = table.byChangeId(changeId, project, wish.branch);
    if (found !== undefined && named !== null && found.number !== named.number) {
      throw new PushRefused(
        `the Change-Id of ${short(commit.id)} is change ${found.number}'s, not ${named.number}'s`,
      );
    }
    if (found !== undefined) return found;
  }
  if (named !== null) return named;
  if (changeId !== null || !isTip) return null;
  if (before?.isHead && before.state === "open") return table.get(before.number)!;
  return wish.topic === null ? null : (table.byTopic(wish.topic, project, wish.branch, user.name) ?? null);
}

function namedChange(number: number, project: string, branch: string, table: ChangeTable): ChangeRow {
  const row = table.get(number);
  if (row === undefined) throw new PushRefused(`there is no change ${number}`);
  if (row.project === project && row.branch === branch) return row;
  throw new PushRefused(`change ${number} is for ${row.branch} of ${row.project}`);
}

function checkMayRevise({ number, owner, state }: ChangeRow, user: User): void {
  if (state === "merged")
    throw new PushRefused(`change ${number} has merged already: give new work another Change-Id, or none`);
  if (state === "abandoned")
    throw new PushRefused(`change ${number} is abandoned: drover gate restore ${number}`);
  if (owner !== user.name && user.role !== "operator")
    throw new PushRefused(`change ${number} is ${owner}'s: only ${owner} or an operator revises it`);
}

function changeIdOf({ id, changeIds }: PushedCommit): string | null {
  const changeId = changeIds.at(-1);
  if (changeId === undefined) return null;
  if (CHANGE_ID.test(changeId)) return changeId;
  throw new PushRefused(
    `the Change-Id of ${short(id)} is ${shown(changeId)}: it must be an I and 8 to 64 hexadecimal digits`,
  );
}

function twice(changeId: string): PushRefused {
  return new PushRefused(
    `two commits of the push have the Change-Id ${changeId}: squash them, or give one another`,
  );
}
