import { basename } from "node:path";
import { definesPipelines } from "../config/index.ts";
import { type GitError, git } from "../git/git.ts";
import { TrialError } from "./trial-error.ts";

/** A clone of a project on this machine, and what is proposed in it. */
export interface TrialClone {
  readonly project: string;
  /** Its work tree. */
  readonly path: string;
  readonly branch: string;
  /** Where its branches as they are merged are found: `refs/remotes/origin/`, or `refs/heads/` of one without a remote. */
  readonly merged: string;
  /** Commits of its `HEAD` that its branch does not have; the newest first. None: nothing is proposed in it. */
  readonly commits: readonly { readonly commit: string; readonly title: string }[];
  /** Its files as they are now define pipelines or base jobs. */
  readonly isConfigProject: boolean;
  /** There is work in it that no commit has, and that is not tried. */
  readonly isDirty: boolean;
}

const REMOTE = "refs/remotes/origin/";
const MAX_COMMITS = 1_000;

/**
 * Looks at a clone.
 * @param place `PATH`, or `NAME=PATH` of a project that its remote does not name.
 * @param branch Default: the one that is checked out follows; else that of `origin/HEAD`.
 * @throws TrialError `CLONE_UNUSABLE`
 */
export async function readClone(place: string, branch?: string): Promise<TrialClone> {
  const [, named, given] = /^([\w./-]+)=(.*)$/.exec(place) ?? [undefined, undefined, place];
  const path = await said(given!, ["rev-parse", "--show-toplevel"]);
  if (path === null) throw new TrialError("CLONE_UNUSABLE", `${given} is no work tree of git`);
  const at = (...words: string[]) => said(path, words);
  const origin = await at("config", "--get", "remote.origin.url");
  const refs = (await at("for-each-ref", "--format=%(refname)", REMOTE)) ?? "";
  const merged = refs === "" ? "refs/heads/" : REMOTE;
  const wanted = branch ?? (await usualBranch(path, merged));
  const tip = await at("rev-parse", "--verify", "--quiet", `${merged}${wanted}^{commit}`);
  if (tip === null)
    throw new TrialError(
      "CLONE_UNUSABLE",
      `${path} has no branch ${wanted}: fetch it, or name another by --branch`,
    );
  const log = await at("log", "--format=%H %s", `--max-count=${MAX_COMMITS}`, `${tip}..HEAD`);
  const commits = (log ?? "")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => ({ commit: line.slice(0, line.indexOf(" ")), title: line.slice(line.indexOf(" ") + 1) }));
  return {
    project: named ?? projectOf(origin) ?? basename(path),
    path,
    branch: wanted,
    merged,
    commits,
    isConfigProject: await definesPipelines(path),
    isDirty: (await at("status", "--porcelain", "--untracked-files=normal")) !== "",
  };
}

/** `lib/core` of `https://gate.example.com/git/lib/core.git`; the last part of any other address. */
function projectOf(origin: string | null): string | undefined {
  if (origin === null) return undefined;
  const path = origin.replace(/\/+$/, "").replace(/\.git$/, "");
  return /\/git\/(.+)$/.exec(path)?.[1] ?? /([^/:]+)$/.exec(path)?.[1];
}

async function usualBranch(path: string, merged: string): Promise<string> {
  const upstream = await said(path, [
    "rev-parse",
    "--symbolic-full-name",
    "--verify",
    "--quiet",
    "@{upstream}",
  ]);
  if (upstream?.startsWith(merged)) return upstream.slice(merged.length);
  const head = await said(path, ["symbolic-ref", "--quiet", merged === REMOTE ? `${REMOTE}HEAD` : "HEAD"]);
  return head?.startsWith(merged) ? head.slice(merged.length) : "main";
}

/** Branches of a clone as they are merged, as refspecs that make them branches. */
export async function mergedBranches({ path, merged }: TrialClone): Promise<string[]> {
  const names = (await said(path, ["for-each-ref", "--format=%(refname)", merged]))!.split("\n");
  return names.filter((name) => name !== `${REMOTE}HEAD`).map((name) => name.slice(merged.length));
}

async function said(path: string, words: readonly string[]): Promise<string | null> {
  try {
    const { stdout } = await git(["-C", path, ...words]);
    return stdout.toString().trim();
  } catch (error) {
    if ((error as GitError).code === "GIT_MISSING") throw error;
    return null;
  }
}
