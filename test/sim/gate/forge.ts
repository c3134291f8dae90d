import type {
  ChainLink,
  Change,
  ChangeId,
  Dependency,
  LandStep,
  MergeResult,
} from "../../../packages/gate/src/core/index.ts";

/** A commit of a branch, made by merging one revision onto another commit. */
interface Commit {
  readonly id: string;
  readonly parent: Commit | null;
  /** `CHANGE@REVISION`, or `direct` of a push past the gate. */
  readonly merged: string;
  /** For each file the one that wrote it last. */
  readonly files: ReadonlyMap<string, string>;
}

interface Revision {
  readonly name: string;
  readonly commit: string;
  readonly files: readonly string[];
  /** The revision that it is built on. */
  readonly parent: Revision | null;
  /** What each of its files was when it was written. */
  readonly seen: ReadonlyMap<string, string>;
}

export interface Proposal {
  readonly project: string;
  readonly branch: string;
  readonly files: readonly string[];
  readonly parent: ChangeId | null;
  readonly dependsOn: readonly string[];
}

/** Repositories, a merger and a code review, as small as they can be and still disagree with one. */
export class Forge {
  readonly #changes = new Map<ChangeId, Change>();
  readonly #revisions = new Map<string, Revision>();
  readonly #tips = new Map<string, Commit>();
  readonly #commits = new Map<string, Commit>();
  readonly #byContent = new Map<string, Commit>();
  readonly #refused = new Set<ChangeId>();
  /** Revisions as they merged, all branches in one list. */
  readonly merged: { change: ChangeId; revision: number; commit: string; branch: string }[] = [];

  get(id: ChangeId): Change {
    return this.#changes.get(id)!;
  }

  get changes(): readonly Change[] {
    return [...this.#changes.values()];
  }

  /** What a commit holds, whichever way it came about. */
  tree(commit: string): string {
    return JSON.stringify([...this.#commits.get(commit)!.files].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  tip(project: string, branch: string): string {
    return this.#tip(`${project} ${branch}`).id;
  }

  #tip(key: string): Commit {
    let tip = this.#tips.get(key);
    if (tip === undefined) {
      tip = this.#commit(null, `root of ${key}`, []);
      this.#tips.set(key, tip);
    }
    return tip;
  }

  /** The same merge gives the same commit. */
  #commit(parent: Commit | null, merged: string, files: readonly string[]): Commit {
    const content = `${parent?.id} ${merged}`;
    const known = this.#byContent.get(content);
    if (known !== undefined) return known;
    const written = new Map(parent?.files);
    for (const file of files) written.set(file, merged);
    const commit = { id: `c${this.#commits.size + 1}`, parent, merged, files: written };
    this.#byContent.set(content, commit);
    this.#commits.set(commit.id, commit);
    return commit;
  }

  /** A new change, or the next revision of one. */
  propose(id: ChangeId, { project, branch, files, parent, dependsOn }: Proposal): Change {
    const revision = (this.#changes.get(id)?.revision ?? 0) + 1;
    const base = parent === null ? null : this.get(parent);
    const onto = base === null || base.state === "merged" ? null : this.#revision(base.id, base.revision);
    const seen = new Map<string, string>();
    for (const file of files)
      seen.set(file, lastWriter(file, onto) ?? this.#tip(`${project} ${branch}`).files.get(file) ?? "");
    const name = `${id}@${revision}`;
    this.#revisions.set(name, { name, commit: `h-${name}`, files, parent: onto, seen });
    const needs: Dependency[] = dependsOn.map((source) => ({
      source,
      change: this.#changes.has(source) || source === id ? source : null,
      revision: null,
      problem: this.#changes.has(source) || source === id ? null : "there is no such change",
    }));
    if (onto !== null && base !== null)
      needs.unshift({ source: "git", change: base.id, revision: base.revision, problem: null });
    return this.#set({
      ...{ kind: "change", id, revision, project, branch, commit: `h-${name}` },
      ...{ state: "open", isApproved: false, needs },
    });
  }

  #set(change: Change): Change {
    this.#changes.set(change.id, change);
    return change;
  }

  #revision(id: ChangeId, revision: number): Revision {
    return this.#revisions.get(`${id}@${revision}`)!;
  }

  edit(id: ChangeId, fields: Partial<Pick<Change, "isApproved" | "state" | "needs">>): Change {
    return this.#set({ ...this.get(id), ...fields });
  }

  refuse(id: ChangeId): void {
    this.#refused.add(id);
  }

  /** Merges a chain on what the branches are now. */
  merge(chain: readonly ChainLink[]): MergeResult {
    const tips = new Map<string, Commit>();
    const steps: { base: string; commit: string }[] = [];
    for (const [link, { change, revision, project, branch }] of chain.entries()) {
      const key = `${project} ${branch}`;
      const base = tips.get(key) ?? this.#tip(key);
      const commit = this.#pick(base, this.#revision(change, revision));
      if (commit === null)
        return { kind: "conflict", link, detail: `${change} does not merge into ${branch}` };
      tips.set(key, commit);
      steps.push({ base: base.id, commit: commit.id });
    }
    return { kind: "merged", steps };
  }

  /** With its parents, where they are missing. `null`: somebody else wrote one of its files meanwhile. */
  #pick(base: Commit, revision: Revision): Commit | null {
    if (holds(base, revision.name)) return base;
    const onto = revision.parent === null ? base : this.#pick(base, revision.parent);
    if (onto === null) return null;
    for (const [file, seen] of revision.seen) if ((onto.files.get(file) ?? "") !== seen) return null;
    return this.#commit(onto, revision.name, revision.files);
  }

  /** Moves branches from one commit to another, all or none, if each is there. */
  land(steps: readonly LandStep[]): { refused: string | null; moved: boolean } {
    const isDone = steps.every(({ link: { change, project, branch }, commit }) => {
      return this.get(change).state === "merged" && isAncestor(commit, this.#tip(`${project} ${branch}`));
    });
    if (isDone) return { refused: null, moved: false };
    const tips = new Map<string, string>();
    for (const { link, base, commit } of steps) {
      const { change, revision, project, branch } = link;
      const key = `${project} ${branch}`;
      const known = this.get(change);
      if ((tips.get(key) ?? this.#tip(key).id) !== base)
        return { refused: `${branch} is not at ${base}`, moved: true };
      if (this.#refused.has(change)) return { refused: "the forge will not", moved: false };
      if (known.revision !== revision || known.state !== "open" || !known.isApproved)
        return { refused: "it is not what was approved", moved: false };
      tips.set(key, commit);
    }
    for (const { link, commit } of steps) this.#merge(this.get(link.change), this.#commits.get(commit)!);
    return { refused: null, moved: false };
  }

  #merge({ id, revision, project, branch }: Change, commit: Commit): void {
    const key = `${project} ${branch}`;
    this.#tips.set(key, commit);
    this.merged.push({ change: id, revision, commit: commit.id, branch: key });
    this.edit(id, { state: "merged" });
  }

  /** Somebody merges a change past the gate. @returns Whether it merges. */
  submit(id: ChangeId): boolean {
    const change = this.get(id);
    const tip = this.#tip(`${change.project} ${change.branch}`);
    const commit = this.#pick(tip, this.#revision(id, change.revision));
    if (commit !== null) this.#merge(change, commit);
    return commit !== null;
  }

  /** A push past the gate. */
  push(project: string, branch: string, file: string): void {
    const key = `${project} ${branch}`;
    const tip = this.#tip(key);
    this.#tips.set(key, this.#commit(tip, `direct after ${tip.id}`, [file]));
  }

  /** What a commit holds, from the oldest on. */
  static historyOf(commit: Commit | null): string[] {
    const history: string[] = [];
    for (let at = commit; at !== null; at = at.parent) history.push(at.merged);
    return history.reverse();
  }

  history(project: string, branch: string): string[] {
    return Forge.historyOf(this.#tip(`${project} ${branch}`));
  }
}

function isAncestor(id: string, commit: Commit): boolean {
  for (let at: Commit | null = commit; at !== null; at = at.parent) if (at.id === id) return true;
  return false;
}

function holds(commit: Commit, name: string): boolean {
  for (let at: Commit | null = commit; at !== null; at = at.parent) if (at.merged === name) return true;
  return false;
}

/** Who wrote a file last in the chain that a revision is built on. */
function lastWriter(file: string, revision: Revision | null): string | null {
  for (let at = revision; at !== null; at = at.parent) if (at.files.includes(file)) return at.name;
  return revision === null ? null : (rootOf(revision).seen.get(file) ?? null);
}

function rootOf(revision: Revision): Revision {
  let at = revision;
  while (at.parent !== null) at = at.parent;
  return at;
}
