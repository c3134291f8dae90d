import { CONFIG_LIMITS, type ConfigFile, type ConfigSource, isConfigPath, Kept } from "../config/index.ts";
import type { LocalForge } from "../forge/index.ts";
import { headBranch } from "../git/head.ts";
import type { Merger, WantedFiles } from "../merger/index.ts";
import { Trees } from "../reuse/trees.ts";

const FILES = ["zuul.yaml", ".zuul.yaml"];
const FOLDERS = ["zuul.d", ".zuul.d"];
/** Of what is remembered of trees, in UTF-16 code units: some hundred for each. */
const MAX_FOUND_LENGTH = 16 * 1024 * 1024;

/**
 * Reads configuration from the forge's repositories: what is merged, or what a commit would make of it. A tree that was looked
 * through is not looked through again, whichever commits have it; and of other trees, files whose contents are as they were are
 * not read again. It is the same list then that is given back.
 */
export class RepositoryConfig implements ConfigSource {
  readonly #forge: Pick<LocalForge, "branches" | "gitDir">;
  readonly #merger: Merger;
  readonly #tips = new Map<string, ReadonlyMap<string, string>>();
  readonly #trees: Trees;
  /** By project and tree: where the contents of its files are, as JSON. */
  readonly #found = new Kept<string>(MAX_FOUND_LENGTH);
  /** By that. */
  readonly #kept = new Kept<readonly ConfigFile[]>(CONFIG_LIMITS.maxKeptLength);

  constructor(forge: Pick<LocalForge, "branches" | "gitDir">, merger: Merger) {
    this.#forge = forge;
    this.#merger = merger;
    this.#trees = new Trees((project, commit) => merger.treeOf(project, commit));
  }

  /** The one that `HEAD` names is first. What `files` reads from then on is what they are now. */
  async branches(project: string): Promise<readonly string[]> {
    const [tips, head] = await Promise.all([this.#forge.branches(project), this.defaultBranch(project)]);
    this.#tips.set(project, tips);
    const names = [...tips.keys()];
    return names.includes(head) ? [head, ...names.filter((name) => name !== head)] : names;
  }

  defaultBranch(project: string): Promise<string> {
    return headBranch(this.#forge.gitDir(project));
  }

  async files(
    project: string,
    branch: string,
    extraPaths: readonly string[],
  ): Promise<readonly ConfigFile[]> {
    // Asked anew for each of hundreds of branches, they would cost a process each.
    const commit = (this.#tips.get(project) ?? (await this.#forge.branches(project))).get(branch);
    if (commit === undefined) throw new Error(`there is no branch ${branch}`);
    return this.filesAt(project, commit, extraPaths);
  }

  async filesAt(
    project: string,
    commit: string,
    extraPaths: readonly string[],
  ): Promise<readonly ConfigFile[]> {
    const isFolder = (path: string): boolean => path.endsWith("/");
    const wanted: WantedFiles = {
      files: [...FILES, ...extraPaths.filter((path) => !isFolder(path))],
      folders: [...FOLDERS, ...extraPaths.filter(isFolder).map((path) => path.slice(0, -1))],
      wants: (path) => isConfigPath(path, extraPaths),
    };
    const tree = (await this.#trees.of(project, [commit])).get(commit)!;
    const of = JSON.stringify([project, tree, extraPaths]);
    const seen = this.#found.find(of);
    const before = seen === undefined ? undefined : this.#kept.find(seen);
    if (before !== undefined) return before;
    const found = await this.#merger.findFiles(project, commit, wanted);
    const key = JSON.stringify([...found]);
    this.#found.keep(of, key, of.length + key.length);
    const known = this.#kept.find(key);
    if (known !== undefined) return known;
    const read = await this.#merger.readFound(project, found);
    const files = [...read].map(([path, bytes]) => ({ path, text: bytes.toString() }));
    const length = files.reduce((sum, { path, text }) => sum + path.length + text.length, 1);
    return this.#kept.keep(key, files, length);
  }
}
