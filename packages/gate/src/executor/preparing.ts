import type { RunResult } from "../core/index.ts";
import { GitError } from "../git/git.ts";
import { isDiskFull } from "./execution-record.ts";
import { WorkspaceImpossible } from "./workspace.ts";

/** What a build comes to whose workspace could not be made. */
export function failedToPrepare(error: Error): [RunResult, string] {
  if (error instanceof WorkspaceImpossible) return [{ kind: "final", result: "ERROR" }, error.message];
  if (isDiskFull(error)) return [{ kind: "final", result: "DISK_FULL" }, "the executor's disk is full"];
  // Git's own trouble, such as a repository that is being repacked, may be over the next time.
  if (error instanceof GitError) return [{ kind: "retry", again: true }, error.message];
  return [{ kind: "final", result: "ERROR" }, error.message];
}
