import { type Commit, commitDate, type NewCommit } from "../git/commits.ts";
import type { StepResult } from "./cache.ts";
import type { Repository } from "./repository.ts";
import { type MergeMode, MergerError, type MergeStep } from "./request.ts";

/** Who commits what a merger makes. */
export interface Committer {
  readonly name: string;
  readonly email: string;
}

/** Commits that one step may pick. */
export const MAX_PICKS = 1_000;

const EMPTY_TREES: Readonly<Record<number, string>> = {
  40: "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
  64: "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
};

/** Of commits that exist only to tell git what to merge, and that nobody sees. */
const NOBODY = "nobody <nobody> 0 +0000";

/** Modes that are one and the same here. */
export function methodOf(mode: MergeMode): "merge" | "cherry-pick" | "squash-merge" | "rebase" {
  return mode === "cherry-pick" || mode === "squash-merge" || mode === "rebase" ? mode : "merge";
}

/** Puts one change onto one commit. Equal input gives the same commit, whenever and wherever. */
export class StepMaker {
  readonly #repository: Repository;
  readonly #committer: Committer;

  constructor(repository: Repository, committer: Committer) {
    this.#repository = repository;
    this.#committer = committer;
  }

  /** @throws GitError, MergerError */
  async make(base: string, step: Pick<MergeStep, "commit" | "mode" | "since">): Promise<StepResult> {
    const [onto, change] = [await this.#repository.commit(base), await this.#repository.commit(step.commit)];
    if (change.id === onto.id) return merged(onto);
    if (isOnly(change, onto)) return merged(change);
    switch (methodOf(step.mode)) {
      case "merge":
        return this.#merge(onto, change);
      case "squash-merge":
        return this.#squash(onto, change);
      case "rebase":
        return this.#pickAll(onto, await this.#rebased(onto, change, step.since));
      case "cherry-pick": {
        const picked = await this.#picked(change, step.since);
        // A merge is merged, as Gerrit does it: what to pick of it nobody has said.
        return picked.length === 1 && change.parents.length > 1
          ? this.#merge(onto, change)
          : this.#pickAll(onto, picked);
      }
    }
  }

  async #merge(onto: Commit, change: Commit): Promise<StepResult> {
    if (change.parents.includes(onto.id)) return merged(change);
    const { tree, conflict } = await this.#repository.mergeTrees(onto, change);
    if (conflict !== null) return { kind: "conflict", ...conflict };
    // Only equal trees make it worth a process to ask.
    if (tree === change.tree && (await this.#repository.isAncestor(onto.id, change.id)))
      return merged(change);
    if (tree === onto.tree && (await this.#repository.isAncestor(change.id, onto.id))) return merged(onto);
    const [subject = ""] = change.message.trimStart().split("\n", 1);
    const committer = this.#signature(onto, change);
    return merged(
      await this.#repository.write({
        tree,
        parents: [onto.id, change.id],
        author: committer,
        committer,
        encoding: change.encoding,
        message: `Merge "${subject.trimEnd()}"\n`,
      }),
    );
  }

  async #squash(onto: Commit, change: Commit): Promise<StepResult> {
    const { tree, conflict } = await this.#repository.mergeTrees(onto, change);
    if (conflict !== null) return { kind: "conflict", ...conflict };
    return merged(tree === onto.tree ? onto : await this.#repository.write(this.#again(change, tree, onto)));
  }

  async #pickAll(base: Commit, picked: readonly string[]): Promise<StepResult> {
    if (picked.length > MAX_PICKS)
      throw new MergerError("MERGER_LIMIT", `a change has ${picked.length} commits, limit ${MAX_PICKS}`);
    let onto = base;
    for (const id of picked) {
      const result = await this.#pick(onto, await this.#repository.commit(id));
      if (result.kind === "conflict") return result;
      onto = await this.#repository.commit(result.commit);
    }
    return merged(onto);
  }

  /** What a commit changes of its first parent. Two commits on top of that parent's tree make git merge exactly that. */
  async #pick(onto: Commit, picked: Commit): Promise<StepResult> {
    if (isOnly(picked, onto)) return merged(picked);
    const [parent] = picked.parents;
    const before =
      parent === undefined ? EMPTY_TREES[picked.tree.length]! : (await this.#repository.commit(parent)).tree;
    const root = await this.#repository.write(synthetic(before));
    const ours = await this.#repository.write(synthetic(onto.tree, root.id));
    const theirs = await this.#repository.write(synthetic(picked.tree, root.id));
    const { tree, conflict } = await this.#repository.mergeTrees(ours, theirs);
    if (conflict !== null) return { kind: "conflict", ...conflict };
    return merged(tree === onto.tree ? onto : await this.#repository.write(this.#again(picked, tree, onto)));
  }

  /** What `git rebase` would pick: not what the base has already, by what it changes, and no merges. */
  #rebased(onto: Commit, change: Commit, since: string | undefined): Promise<string[]> {
    const words = ["--right-only", "--cherry-pick", "--no-merges", `${onto.id}...${change.id}`];
    return this.#repository.revisions([...words, ...(since === undefined ? [] : [`^${since}`])]);
  }

  async #picked(change: Commit, since: string | undefined): Promise<string[]> {
    if (since === undefined || since === change.parents[0]) return [change.id];
    return this.#repository.revisions(["--first-parent", change.id, `^${since}`]);
  }

  /** The same commit in another place. */
  #again(change: Commit, tree: string, onto: Commit): NewCommit {
    const { author, encoding, message } = change;
    return { tree, parents: [onto.id], author, committer: this.#signature(onto, change), encoding, message };
  }

  #signature(onto: Commit, change: Commit): string {
    const { seconds, zone } = commitDate(change);
    const { name, email } = this.#committer;
    const who = Buffer.from(`${name} <${email}>`).toString("latin1");
    return `${who} ${Math.max(seconds, commitDate(onto).seconds)} ${zone}`;
  }
}

function merged({ id }: Commit): StepResult {
  return { kind: "merged", commit: id };
}

/** Whether it lies on that commit already, and on nothing else. */
function isOnly(change: Commit, onto: Commit): boolean {
  return change.parents.length === 1 && change.parents[0] === onto.id;
}

function synthetic(tree: string, parent?: string): NewCommit {
  const parents = parent === undefined ? [] : [parent];
  return { tree, parents, author: NOBODY, committer: NOBODY, encoding: null, message: "" };
}
