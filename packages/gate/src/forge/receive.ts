import { randomUUID } from "node:crypto";
import { git } from "../git/git.ts";
import type { GateDatabase } from "../store/database.ts";
import { changeLines, sameLines } from "./answer.ts";
import type { ChangeRow, ChangeTable, NewRevision } from "./change-table.ts";
import {
  checkFiles,
  countCommits,
  findObjects,
  firstParents,
  mergeBase,
  type PushedCommit,
  readCommits,
  short,
} from "./commits.ts";
import { type Need, readNeeds } from "./dependencies.ts";
import { PushRefused } from "./errors.ts";
import type { ForgeEvent } from "./events.ts";
import type { ForgeLimits } from "./limits.ts";
import type { Moves } from "./moves.ts";
import { isForReview, pushedNameProblem, readWish, refNameProblem, shown, type Wish } from "./names.ts";
import type { PushedChanges } from "./pushed-changes.ts";
import { type Group, splitRange } from "./ranges.ts";
import { isTrivialRebase } from "./trivial-rebase.ts";
import type { User } from "./users.ts";

/** One ref of a push. `null` for an object: there is none. */
export interface PushCommand {
  readonly ref: string;
  readonly old: string | null;
  readonly new: string | null;
}

export interface Push {
  readonly project: string;
  readonly user: User;
  readonly commands: readonly PushCommand[];
  readonly options: readonly string[];
  readonly isAtomic: boolean;
}

/** What became of one ref of a push. */
export type RefAnswer =
  | { readonly ref: string; readonly refused: string }
  | { readonly ref: string; readonly refused: null; readonly updates: readonly PushCommand[] };

export interface PushAnswer {
  /** For the one who pushed. */
  readonly lines: readonly string[];
  /** In the order of the commands. */
  readonly refs: readonly RefAnswer[];
}

/** What a push needs of its forge. */
export interface ReceiverParts {
  readonly db: GateDatabase;
  readonly table: ChangeTable;
  readonly moves: Moves;
  readonly limits: ForgeLimits;
  readonly gitDir: (project: string) => string;
  /** Base URLs of this gate; the first is shown. */
  readonly urls: () => readonly string[];
  readonly isGated: (project: string, branch: string) => boolean;
  /** Whether operators may push to gated branches. */
  readonly directPush: boolean;
  /** Whether a revision that only moves a change to another base keeps its approvals. */
  readonly keepApprovals: boolean;
  readonly emit: (events: readonly ForgeEvent[]) => void;
  readonly pushed: PushedChanges;
  readonly nowMs: () => number;
}

interface Made {
  readonly number: number;
  readonly revision: number;
  readonly group: Group;
  readonly next: NewRevision;
}

/** Makes changes of what is pushed. One push of a project at a time. */
export class Receiver {
  readonly #parts: ReceiverParts;

  constructor(parts: ReceiverParts) {
    this.#parts = parts;
  }

  /** @throws GitError and what the database throws; what is wrong with the push is in the answer. */
  async receive(push: Push): Promise<PushAnswer> {
    const { commands, isAtomic } = push;
    const lines: string[] = [];
    const refs: RefAnswer[] = [];
    const refuseAll = (refused: string): PushAnswer => ({
      lines,
      refs: commands.map(({ ref }) => ({ ref, refused })),
    });
    const { maxRefsPerPush } = this.#parts.limits;
    if (commands.length > maxRefsPerPush)
      return refuseAll(`the push has ${commands.length} refs, limit maxRefsPerPush ${maxRefsPerPush}`);
    if (isAtomic && commands.length > 1) return refuseAll("push one ref at a time, or without --atomic");
    for (const command of commands) {
      try {
        const problem = pushedNameProblem(command.ref, this.#parts.limits.maxRefBytes);
        if (problem !== null) throw new PushRefused(problem);
        if (push.user.role === "worker")
          throw new PushRefused("this token is a worker's, which pushes nothing");
        const updates = isForReview(command.ref)
          ? await this.#forReview(push, command, lines)
          : await this.#directly(push, command);
        refs.push({ ref: command.ref, refused: null, updates });
      } catch (error) {
        if (!(error instanceof PushRefused)) throw error;
        refs.push({ ref: command.ref, refused: error.message });
      }
    }
    return { lines, refs };
  }

  async #forReview(push: Push, command: PushCommand, lines: string[]): Promise<PushCommand[]> {
    const { project, user } = push;
    const { table, limits } = this.#parts;
    const gitDir = this.#parts.gitDir(project);
    const wish = readWish(command.ref, push.options);
    const tip = command.new;
    if (tip === null) throw new PushRefused("changes are not deleted: drover gate abandon NUMBER");
    const [branch, pushed] = await findObjects(gitDir, [`refs/heads/${wish.branch}`, tip]);
    if (branch?.type !== "commit") throw new PushRefused(await unknownBranch(gitDir, project, wish.branch));
    if (pushed?.type !== "commit")
      throw new PushRefused(`it is a ${pushed?.type ?? "stranger"}, not a commit`);
    const branchTip = branch.id;

    const commits = await this.#newCommits(gitDir, tip, branchTip, wish);
    const range = splitRange(commits, { project, wish, user }, table);
    if (range.kind === "same") {
      const row = table.get(range.number)!;
      lines.push(...sameLines(row, this.#parts.urls()[0]));
      return [{ ref: changeRef(row.number, row.revision), old: tip, new: tip }];
    }
    this.#checkCounts(range.groups);
    const first = range.groups[0]!.commits.at(-1)!;
    // Where its first parents end is in the branch, or in another change; or it is where all history begins.
    const base = first.parents[0];
    if (base === undefined) throw new PushRefused(`it has no history in common with ${wish.branch}`);
    if (commits.some(({ parents }) => parents.length > 1)) {
      const count = await countCommits(gitDir, tip, [branchTip, base], limits.maxCommitsPerPush + 1);
      if (count > limits.maxCommitsPerPush) throw tooManyCommits(limits);
    }
    await checkFiles(gitDir, base, tip, limits);

    const made = await this.#prepare(gitDir, range.groups, branchTip, push, wish);
    // Before anybody hears of it, so that no commit that is spoken of can vanish.
    await git(["update-ref", "--stdin"], {
      gitDir,
      input: made
        .map(({ number, revision, group }) => `update ${changeRef(number, revision)} ${group.head.id}\n`)
        .join(""),
    });
    this.#record(made, push, wish);
    for (const one of made) {
      const needs = table
        .needs(one.number)
        .map((need) => ({ need, target: need.target === null ? undefined : table.get(need.target) }));
      const place = { url: this.#parts.urls()[0], gitDir, project };
      const kept = table.approvalsOf(one.number, one.revision);
      lines.push(
        ...changeLines(table.get(one.number)!, one.next, needs, table.record(one.number), kept, place),
      );
    }
    return made.map(({ number, revision, group }) => ({
      ref: changeRef(number, revision),
      old: null,
      new: group.head.id,
    }));
  }

  /** First parents that the branch does not have, newest first, down to a commit that is another's for certain. */
  async #newCommits(gitDir: string, tip: string, branchTip: string, wish: Wish): Promise<PushedCommit[]> {
    const { limits } = this.#parts;
    const ids = await firstParents(gitDir, tip, [branchTip], limits.maxCommitsPerPush + 1);
    if (ids.length === 0)
      throw new PushRefused(`${wish.branch} has ${short(tip)} already: there is nothing to review`);
    const commits = await readCommits(gitDir, ids, limits);
    if (commits.length > limits.maxCommitsPerPush) throw tooManyCommits(limits);
    return commits;
  }

  #checkCounts(groups: readonly Group[]): void {
    const { table, limits } = this.#parts;
    const { maxChangesPerPush, maxOpenChanges, maxRevisions } = limits;
    if (groups.length > maxChangesPerPush)
      throw new PushRefused(
        `the push has ${groups.length} changes, limit maxChangesPerPush ${maxChangesPerPush}`,
      );
    const fresh = groups.filter(({ target }) => target === null).length;
    if (fresh > 0 && table.countOpen() + fresh > maxOpenChanges)
      throw new PushRefused(
        `there are too many open changes, limit maxOpenChanges ${maxOpenChanges}: abandon some`,
      );
    for (const { target } of groups) {
      if (target !== null && target.revision >= maxRevisions)
        throw new PushRefused(
          `change ${target.number} has ${target.revision} revisions, limit maxRevisions ${maxRevisions}: push a new one`,
        );
    }
  }

  /** Gives each group its number and revision, and finds what it needs. */
  async #prepare(
    gitDir: string,
    groups: readonly Group[],
    branchTip: string,
    { project, user }: Push,
    wish: Wish,
  ): Promise<Made[]> {
    const { table, limits, urls, nowMs } = this.#parts;
    const made: Made[] = [];
    const here = new Map<string, { number: number; revision: number }>();
    for (const group of groups) {
      const said = group.commits.toReversed().flatMap(({ message }) => readNeeds(message, urls()));
      if (said.length > limits.maxDependencies)
        throw new PushRefused(
          `${short(group.head.id)} has ${said.length} lines Depends-On, limit maxDependencies ${limits.maxDependencies}`,
        );
    }
    for (const group of groups) {
      const number = group.target?.number ?? table.nextNumber();
      const revision = (group.target?.revision ?? 0) + 1;
      const own = new Set(group.commits.map(({ id }) => id));
      const needs = new Map<string, Need>();
      for (const parent of group.commits.flatMap(({ parents }) => parents)) {
        if (own.has(parent)) continue;
        const of =
          here.get(parent) ??
          table.known(project, wish.branch, parent).find((known) => known.number !== number);
        if (of === undefined) continue;
        needs.set(`git ${of.number}`, {
          source: "git",
          target: of.number,
          revision: of.revision,
          project: null,
          problem: null,
        });
      }
      for (const { message } of group.commits.toReversed())
        for (const need of readNeeds(message, urls())) needs.set(`said ${need.source}`, need);
      for (const id of own) here.set(id, { number, revision });
      const first = group.commits.at(-1)!.parents[0]!;
      const base = group.commits.some(({ parents }) => parents.length > 1)
        ? await laterBase(gitDir, first, group.head.id, branchTip)
        : first;
      made.push({
        number,
        revision,
        group,
        next: {
          head: group.head,
          base,
          commits: [...own],
          needs: [...needs.values()],
          pusher: user.name,
          atMs: nowMs(),
          keepsApprovals: group.target !== null && (await this.#isKept(gitDir, group.target, base, group)),
        },
      });
    }
    return made;
  }

  /** Whether there are approvals that the new revision keeps. */
  async #isKept(
    gitDir: string,
    { number, revision, state }: ChangeRow,
    base: string,
    { head }: Group,
  ): Promise<boolean> {
    const { table, keepApprovals } = this.#parts;
    if (!keepApprovals || state !== "open" || table.approvalsOf(number, revision).length === 0) return false;
    const before = table.revision(number, revision)!;
    return isTrivialRebase(gitDir, before, { base, head: head.id });
  }

  #record(made: readonly Made[], { project, user }: Push, wish: Wish): void {
    const { db, table, emit } = this.#parts;
    db.transaction(() => {
      for (const { number, group, next } of made) {
        const { target, changeId } = group;
        if (target !== null) table.revise(target, changeId, wish.topic ?? target.topic, next);
        else
          table.create(
            { number, project, branch: wish.branch, changeId, topic: wish.topic, owner: user.name },
            next,
          );
      }
      const numbers = made.map(({ number }) => number);
      const others = new Set(numbers.flatMap((number) => table.openNeeding(number)));
      for (const number of numbers) others.delete(number);
      emit([
        ...[...numbers, ...others].map(
          (number) => ({ kind: "change", change: table.record(number) }) as const,
        ),
        ...numbers.map(
          (number) =>
            ({ kind: "trigger", trigger: { event: "change-created", change: table.idOf(number) } }) as const,
        ),
        // Nobody approves it once more, and what waits for that must not wait for ever.
        ...made.flatMap(({ number, revision }) =>
          table
            .approvalsOf(number, revision)
            .map(({ user: by }) => ({ event: "approved" as const, change: table.idOf(number), user: by }))
            .map((trigger) => ({ kind: "trigger", trigger }) as const),
        ),
      ]);
    });
  }

  /** A branch or tag that is pushed to past review. */
  async #directly({ project, user }: Push, { ref, old, new: to }: PushCommand): Promise<PushCommand[]> {
    const { isGated, directPush, moves } = this.#parts;
    const gitDir = this.#parts.gitDir(project);
    const problem = to === null ? null : refNameProblem(ref);
    if (problem !== null) throw new PushRefused(problem);
    const branch = ref.startsWith("refs/heads/") ? ref.slice("refs/heads/".length) : null;
    const isOperator = user.role === "operator";
    if (branch !== null && old !== null && isGated(project, branch)) {
      const instead = `${branch} is gated: push to refs/for/${branch}`;
      if (!isOperator) throw new PushRefused(instead);
      if (!directPush)
        throw new PushRefused(
          `${instead}, or start the gate with --direct-push, by which operators may push to it`,
        );
    } else if (!isOperator && (branch === null || old === null)) {
      throw new PushRefused("only operators make branches, and make or move tags");
    }
    if (to === null && !isOperator) throw new PushRefused("only operators delete");
    if (branch !== null && to !== null) {
      const [pushed] = await findObjects(gitDir, [to]);
      if (pushed?.type !== "commit")
        throw new PushRefused(`a branch is at a commit, and this is a ${pushed?.type ?? "stranger"}`);
      if (!isOperator && (await mergeBase(gitDir, old!, to)) !== old)
        throw new PushRefused("only operators push what is no fast-forward");
    }
    const refused = await moves.run({
      key: `push:${randomUUID()}`,
      project,
      ref,
      old,
      new: to,
      change: null,
      revision: null,
    });
    if (refused !== null) throw new PushRefused(shown(refused, 300));
    if (branch !== null && to !== null) await this.#parts.pushed.close(project, branch);
    return [{ ref, old, new: to }];
  }
}

/** Where a revision's commit is kept. */
export function changeRef(number: number, revision: number): string {
  return `refs/changes/${number}/${revision}`;
}

/** A change that merged its branch into itself is compared with what it merged. @throws GitError */
async function laterBase(gitDir: string, first: string, head: string, branchTip: string): Promise<string> {
  const common = await mergeBase(gitDir, branchTip, head);
  return common !== null && (await mergeBase(gitDir, first, common)) === first ? common : first;
}

async function unknownBranch(gitDir: string, project: string, branch: string): Promise<string> {
  const { stdout } = await git(
    ["for-each-ref", "--count=10", "--format=%(refname:lstrip=2)", "refs/heads/"],
    { gitDir },
  );
  const names = stdout.toString().split("\n").filter(Boolean).join(", ");
  return `${project} has no branch ${shown(branch)}${names === "" ? "" : `; it has ${shown(names, 300)}`}`;
}

function tooManyCommits({ maxCommitsPerPush }: ForgeLimits): PushRefused {
  return new PushRefused(
    `it has more than ${maxCommitsPerPush} commits that the branch does not have, limit maxCommitsPerPush`,
  );
}
