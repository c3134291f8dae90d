import { GitError, gitLine } from "./git.ts";

/** `merge-tree --write-tree --stdin` is younger than most of git. */
const OLDEST = [2, 39] as const;

let known: Promise<string> | undefined;

/**
 * The version of the git on this machine, such as `2.39.5`.
 * @throws GitError `GIT_MISSING`, `GIT_TOO_OLD`
 */
export function gitVersion(): Promise<string> {
  known ??= gitLine(["version"]).then(checkGitVersion);
  // It may be installed meanwhile.
  known.catch(() => {
    known = undefined;
  });
  return known;
}

/** @param said What `git version` says. */
export function checkGitVersion(said: string): string {
  const [, version = "", major = "0", minor = "0"] = /(([0-9]+)\.([0-9]+)(?:\.[0-9]+)*)/.exec(said) ?? [];
  if (Number(major) > OLDEST[0] || (Number(major) === OLDEST[0] && Number(minor) >= OLDEST[1]))
    return version;
  throw new GitError("GIT_TOO_OLD", `${said}; the gate needs ${OLDEST.join(".")} or newer`);
}
