import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { git, gitLine, Merger, type MergeStep } from "@drover/gate";

/*
 * How many merges a second one merger makes in a bare repository, next to `git merge` in a work tree with the same chains in
 * the same run, chain by chain in turn.
 */

const FILES = 2_000;
const FOLDERS = 100;
const CHAIN = 20;
const IDENTITY = { name: "Bench", email: "bench@localhost" };
const AS_IDENTITY = {
  GIT_AUTHOR_NAME: IDENTITY.name,
  GIT_AUTHOR_EMAIL: IDENTITY.email,
  GIT_COMMITTER_NAME: IDENTITY.name,
  GIT_COMMITTER_EMAIL: IDENTITY.email,
};

export interface MergerFigures {
  readonly chains: number;
  /** Merges a second: medians over the chains. */
  readonly merger: number;
  readonly workTree: number;
  /** Median of the chains' ratios. */
  readonly ratio: number;
  /** Chains a second that were merged before, so that nothing is left to merge. */
  readonly again: number;
}

/** @param chains Of 20 changes each, all from the same base, none in the way of another. */
export async function measureMerger(chains = 20): Promise<MergerFigures> {
  const folder = mkdtempSync(join(tmpdir(), "drover-bench-merger-"));
  try {
    const bare = join(folder, "bare.git");
    await git(["init", "-q", "--bare", "-b", "main", bare]);
    const changes = await fill(bare, chains * CHAIN);
    const workTree = join(folder, "work");
    await git(["clone", "-q", bare, workTree]);
    await git(["fetch", "-q", "origin", "refs/changes/*:refs/changes/*"], { cwd: workTree });
    return await measure(bare, workTree, changes);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measure(bare: string, workTree: string, changes: readonly string[]): Promise<MergerFigures> {
  await using merger = new Merger({ repositoryOf: () => bare, committer: IDENTITY });
  const ours: number[] = [];
  const theirs: number[] = [];
  const again: number[] = [];
  for (let at = 0; at < changes.length; at += CHAIN) {
    const chain = changes.slice(at, at + CHAIN);
    const steps = chain.map((commit): MergeStep => ({ project: "p", branch: "main", commit, mode: "merge" }));
    let tree = "";
    const ofMerger = async () => {
      const startedMs = performance.now();
      const answer = await merger.merge({ steps });
      ours.push((CHAIN * 1_000) / (performance.now() - startedMs));
      if (answer.kind !== "merged") throw new Error(`the merger says: ${answer.detail}`);
      tree = await gitLine(["rev-parse", `${answer.steps.at(-1)!.commit}^{tree}`], { gitDir: bare });
      const againMs = performance.now();
      const remembered = await merger.merge({ steps });
      again.push(1_000 / (performance.now() - againMs));
      if (remembered.kind !== "merged" || remembered.merges !== 0) throw new Error("it merged twice");
    };
    let treeOfGit = "";
    const ofGit = async () => {
      await git(["checkout", "-q", "-B", "gate", "origin/main"], { cwd: workTree });
      const startedMs = performance.now();
      for (const commit of chain)
        await git(["merge", "-q", "--no-edit", commit], { cwd: workTree, env: AS_IDENTITY });
      theirs.push((CHAIN * 1_000) / (performance.now() - startedMs));
      treeOfGit = await gitLine(["rev-parse", "HEAD^{tree}"], { cwd: workTree });
    };
    for (const side of (at / CHAIN) % 2 === 0 ? [ofMerger, ofGit] : [ofGit, ofMerger]) await side();
    if (tree !== treeOfGit) throw new Error(`the merger has tree ${tree}, git merge ${treeOfGit}`);
  }
  return {
    chains: ours.length,
    merger: median(ours),
    workTree: median(theirs),
    ratio: median(ours.map((rate, i) => rate / theirs[i]!)),
    again: median(again),
  };
}

/** Fills a bare repository through one `git fast-import`. */
async function fill(bare: string, changes: number): Promise<string[]> {
  const name = (i: number): string => `folder-${i % FOLDERS}/file-${i}.txt`;
  const data = (text: string): string => `data ${Buffer.byteLength(text)}\n${text}`;
  const who = `${IDENTITY.name} <${IDENTITY.email}> 1700000000 +0000`;
  const lines = ["commit refs/heads/main", `committer ${who}`, data("base")];
  for (let i = 0; i < FILES; i++) lines.push(`M 100644 inline ${name(i)}`, data(`file ${i}\n`.repeat(50)));
  for (let i = 0; i < changes; i++) {
    const text = `file ${i % FILES}\n`.repeat(50);
    lines.push(`commit refs/changes/${i}`, `committer ${who}`, data(`change ${i}`));
    lines.push("from refs/heads/main", `M 100644 inline ${name(i % FILES)}`, data(`${text}change ${i}\n`));
  }
  await git(["fast-import", "--quiet"], { gitDir: bare, input: lines.join("\n") });
  const refs = await gitLine(["for-each-ref", "--format=%(objectname)", "refs/changes"], { gitDir: bare });
  return refs.split("\n");
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** In a few lines, for people. */
export function showMerger(figures: MergerFigures): string {
  const { chains, merger, workTree, ratio, again } = figures;
  return [
    `${chains} chains of ${CHAIN} changes on ${FILES} files:`,
    `  merger in a bare repository   ${merger.toFixed(0)} merges/s`,
    `  git merge in a work tree      ${workTree.toFixed(0)} merges/s`,
    `  ratio                         ${ratio.toFixed(1)}`,
    `  the same chain once more      ${again.toFixed(0)} chains/s, 0 merges`,
  ].join("\n");
}

if (import.meta.main) console.log(showMerger(await measureMerger()));
