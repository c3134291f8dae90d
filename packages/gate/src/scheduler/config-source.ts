import { type ConfigFile, type ConfigSource, isConfigPath } from "../config/index.ts";
import type { LocalForge } from "../forge/index.ts";
import { gitLine } from "../git/git.ts";
import type { Merger, WantedFiles } from "../merger/index.ts";

const FILES = ["zuul.yaml", ".zuul.yaml"];
const FOLDERS = ["zuul.d", ".zuul.d"];

/** Reads configuration from the forge's repositories: what is merged, or what a commit would make of it. */
export class RepositoryConfig implements ConfigSource {
  readonly #forge: LocalForge;
  readonly #merger: Merger;

  constructor(forge: LocalForge, merger: Merger) {
    this.#forge = forge;
    this.#merger = merger;
  }

  /** The one that `HEAD` names is first. */
  async branches(project: string): Promise<readonly string[]> {
    const names = [...(await this.#forge.branches(project)).keys()];
    const head = await this.defaultBranch(project);
    return names.includes(head) ? [head, ...names.filter((name) => name !== head)] : names;
  }

  async defaultBranch(project: string): Promise<string> {
    const gitDir = this.#forge.gitDir(project);
    return (await gitLine(["symbolic-ref", "HEAD"], { gitDir })).replace(/^refs\/heads\//, "");
  }

  async files(
    project: string,
    branch: string,
    extraPaths: readonly string[],
  ): Promise<readonly ConfigFile[]> {
    const commit = (await this.#forge.branches(project)).get(branch);
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
    const files = await this.#merger.readFiles(project, commit, wanted);
    return [...files].map(([path, bytes]) => ({ path, text: bytes.toString() }));
  }
}
