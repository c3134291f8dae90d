import { CONFIG_LIMITS } from "./limits.ts";

/** A file of a branch. */
export interface ConfigFile {
  /** Within the repository, with slashes. */
  readonly path: string;
  /** Of a file longer than `CONFIG_LIMITS.maxFileLength`, one character more than that is enough. */
  readonly text: string;
}

/** Where configuration is read from. Asked for a project that it does not have, it throws. */
export interface ConfigSource {
  /** Names without `refs/heads/`; the default branch first. */
  branches(project: string): Promise<readonly string[]>;
  /** Files for which `isConfigPath` holds, with `.zuul.ignore` among them, in any order. */
  files(project: string, branch: string, extraPaths: readonly string[]): Promise<readonly ConfigFile[]>;
}

/** Where a repository keeps its configuration: the first of them that there is counts. */
export const CONFIG_ROOTS: readonly string[] = ["zuul.yaml", "zuul.d/", ".zuul.yaml", ".zuul.d/"];

/**
 * Whether a path of a repository may hold configuration.
 * @param extraPaths The tenant's `extra-config-paths`; those that end in a slash are folders.
 */
export function isConfigPath(path: string, extraPaths: readonly string[] = []): boolean {
  return [...CONFIG_ROOTS, ...extraPaths].some((root) => isBelow(path, root));
}

function isBelow(path: string, root: string): boolean {
  if (!root.endsWith("/")) return path === root;
  return path.startsWith(root) && (path.endsWith(".yaml") || path.endsWith("/.zuul.ignore"));
}

/**
 * The files of a branch that count, in the order in which they are read.
 * @returns Also why some are left out, in sentences.
 */
export function chooseFiles(
  files: readonly ConfigFile[],
  extraPaths: readonly string[] = [],
): { chosen: readonly ConfigFile[]; refused: readonly { path: string; message: string }[] } {
  const ignored = files
    .filter(({ path }) => path.endsWith("/.zuul.ignore"))
    .map(({ path }) => path.slice(0, -".zuul.ignore".length));
  const wanted = files
    .filter(
      ({ path }) => !path.endsWith("/.zuul.ignore") && !ignored.some((folder) => path.startsWith(folder)),
    )
    .toSorted((a, b) => (a.path < b.path ? -1 : 1));
  const root = CONFIG_ROOTS.find((one) => wanted.some(({ path }) => isBelow(path, one)));
  const refused: { path: string; message: string }[] = [];
  const chosen: ConfigFile[] = [];
  let length = 0;
  for (const one of root === undefined ? extraPaths : [root, ...extraPaths]) {
    for (const file of wanted) {
      if (!isBelow(file.path, one) || chosen.includes(file)) continue;
      length += file.text.length;
      if (chosen.length >= CONFIG_LIMITS.maxFiles || length > CONFIG_LIMITS.maxBranchLength) {
        const { maxFiles, maxBranchLength } = CONFIG_LIMITS;
        const message = `a branch may have ${maxFiles} files of configuration with ${maxBranchLength} characters; this and further ones are left out`;
        refused.push({ path: file.path, message });
        return { chosen, refused };
      }
      chosen.push(file);
    }
  }
  return { chosen, refused };
}
