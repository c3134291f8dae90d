import { chmod, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, onTestFinished, test } from "vitest";
import { git } from "../src/git/git.ts";
import { MergeCache } from "../src/merger/cache.ts";
import { type MergeAnswer, Merger, type MergerOptions, type MergeStep } from "../src/merger/index.ts";
import { BareRepository, type Entry } from "./bare-repository.ts";

const LINES = Array.from({ length: 20 }, (_, i) => `line ${i}\n`);
const text = (edits: Readonly<Record<number, string>> = {}): string =>
  LINES.map((line, i) => (edits[i] === undefined ? line : `${edits[i]}\n`)).join("");

function merged(answer: MergeAnswer) {
  if (answer.kind !== "merged") throw new Error(`${answer.kind}: ${answer.detail}`);
  return answer;
}

async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), "drover-merger-test-"));
  onTestFinished(() => rm(made, { recursive: true, force: true }));
  return made;
}

/** A repository with `main` and changes that are in nobody's way. */
async function withChanges(count: number) {
  const repository = await BareRepository.make();
  onTestFinished(() => repository[Symbol.asyncDispose]());
  const root = await repository.commit("main", { a: text() });
  await repository.commit("main", { b: "1" });
  const steps: MergeStep[] = [];
  for (let i = 0; i < count; i++) {
    const commit = await repository.commit(`change-${i}`, { [`file-${i}`]: "1" }, { from: root });
    steps.push({ project: "p", branch: "main", commit, mode: "merge" });
  }
  return { repository, root, steps };
}

function mergerOf(repository: BareRepository, options: Partial<MergerOptions> = {}): Merger {
  const merger = new Merger({ repositoryOf: () => repository.gitDir, ...options });
  onTestFinished(() => merger.close());
  return merger;
}

/** Programs that stand before the machine's own in this test. */
async function programs(scripts: Readonly<Record<string, string>>): Promise<void> {
  const bin = await folder();
  for (const [name, script] of Object.entries(scripts)) {
    await writeFile(join(bin, name), `#!/bin/sh\n${script}\n`);
    await chmod(join(bin, name), 0o755);
  }
  const { PATH } = process.env;
  process.env.PATH = `${bin}:${PATH}`;
  onTestFinished(() => {
    process.env.PATH = PATH;
  });
}

test("a window of n costs n merges, one more change one more, and a window that loses its second n - 2", async () => {
  const { repository, steps } = await withChanges(6);
  const merger = mergerOf(repository);
  const merges = async (wanted: readonly MergeStep[]) => merged(await merger.merge({ steps: wanted })).merges;
  let total = 0;
  for (let n = 1; n <= 5; n++) total += await merges(steps.slice(0, n));
  expect(total).toBe(5);
  expect(await merges(steps)).toBe(1);
  expect(await merges(steps)).toBe(0);
  expect(await merges(steps.toSpliced(1, 1))).toBe(4);
});

test("two equal requests at a time merge once", async () => {
  const { repository, steps } = await withChanges(4);
  const merger = mergerOf(repository);
  const answers = await Promise.all([merger.merge({ steps }), merger.merge({ steps })]);
  expect(answers.map((answer) => merged(answer).merges).reduce((a, b) => a + b)).toBe(4);
  expect(merged(answers[0]).steps).toEqual(merged(answers[1]).steps);
});

test("a later process knows the results, conflicts too", async () => {
  const { repository, root, steps } = await withChanges(3);
  const cacheFile = join(await folder(), "merges.db");
  const commit = await repository.commit("clash", { "file-0": "2" }, { from: root });
  const clash: MergeStep[] = [...steps, { project: "p", branch: "main", commit, mode: "rebase" }];
  const first = mergerOf(repository, { cacheFile });
  const before = await first.merge({ steps: clash });
  expect(before).toMatchObject({ kind: "conflict", link: 3, merges: 4 });
  await first.close();
  const second = mergerOf(repository, { cacheFile });
  expect(await second.merge({ steps: clash })).toEqual({ ...before, merges: 0 });
});

test("what is remembered is made again when its commit is gone, and the same comes out", async () => {
  const { repository, steps } = await withChanges(3);
  const merger = mergerOf(repository);
  const before = merged(await merger.merge({ steps }));
  await git(["prune", "--expire=now"], { gitDir: repository.gitDir });
  const after = merged(await merger.merge({ steps }));
  expect(after).toEqual(before);
  expect(after.merges).toBe(3);
  expect(await repository.files(after.steps[2]!.commit)).toHaveLength(5);
});

test("a file of results that is broken is made anew, a broken row is not believed, and old rows go", async () => {
  const { repository, steps } = await withChanges(3);
  const cacheFile = join(await folder(), "merges.db");
  const run = async () => {
    const merger = mergerOf(repository, { cacheFile });
    const answer = merged(await merger.merge({ steps }));
    await merger.close();
    return answer;
  };
  await writeFile(cacheFile, "this is no database, however long it is looked at\n".repeat(500));
  const before = await run();
  expect(before.merges).toBe(3);
  expect((await run()).merges).toBe(0);
  const db = new DatabaseSync(cacheFile);
  db.exec(
    `UPDATE steps SET result = replace(result, '${before.steps[1]!.commit}', '${before.steps[0]!.commit}')`,
  );
  db.close();
  expect(await run()).toEqual({ ...before, merges: 1 });
  const cache = new MergeCache(":memory:", 10);
  for (let i = 0; i < 25; i++) cache.remember(Buffer.of(i), { kind: "merged", commit: String(i) });
  const known = Array.from({ length: 25 }, (_, i) => i).filter((i) => cache.find(Buffer.of(i)) !== undefined);
  cache.close();
  expect(known.length).toBeLessThanOrEqual(10);
  expect(known).toContain(24);
  expect(known).not.toContain(0);
});

test("merge processes that are killed in the midst of it are started again, and nothing is lost or wrong", async () => {
  const { repository, steps } = await withChanges(40);
  const wanted = merged(await mergerOf(repository).merge({ steps })).steps;
  await git(["prune", "--expire=now"], { gitDir: repository.gitDir });
  const merger = mergerOf(repository);
  let killed = 0;
  let isDone = false;
  const answer = merger.merge({ steps }).finally(() => {
    isDone = true;
  });
  const seen = new Set<number>();
  while (!isDone) {
    for (const pid of merger.pids.filter((one) => !seen.has(one))) {
      seen.add(pid);
      process.kill(pid, "SIGKILL");
      killed++;
    }
    await new Promise(setImmediate);
  }
  expect(killed).toBeGreaterThan(1);
  expect(merged(await answer).steps).toEqual(wanted);
});

/** What stands in the place of the program that runs `git merge-tree`, whose third word is where the repository is. */
const LIES: Readonly<Record<string, string>> = {
  "nothing and ends": "exit 0",
  "half of an answer": String.raw`printf '1\000abc'; exit 1`,
  "what is no answer": String.raw`while read -r _; do printf 'yes\000no\000\000'; done`,
  "a tree that is not there": String.raw`while read -r ours theirs; do
    tree=$(printf %040d 7)
    if [ "$ours" = "$theirs" ]; then tree=$(git "$3" rev-parse "$ours^{tree}"); fi
    printf "1\000$tree\000\000"
  done`,
  "the answer to the question before": String.raw`last=$(printf %040d 7)
  while read -r ours theirs; do
    printf "1\000$last\000\000"
    last=$(git "$3" merge-tree --write-tree "$ours" "$theirs")
  done`,
  "more than it was asked": String.raw`while read -r ours theirs; do
    tree=$(git "$3" rev-parse "$ours^{tree}")
    printf "1\000$tree\000\0001\000$tree\000\0001\000$tree\000\000"
  done`,
};

for (const [name, script] of Object.entries(LIES)) {
  test(`a merge process that says ${name} never makes a wrong commit`, async () => {
    const { repository, steps } = await withChanges(5);
    const wanted = merged(await mergerOf(repository).merge({ steps })).steps;
    await git(["prune", "--expire=now"], { gitDir: repository.gitDir });
    await programs({ stdbuf: script });
    const answer = await mergerOf(repository).merge({ steps });
    expect(answer.kind === "merged" ? answer.steps : answer.detail).toEqual(wanted);
  });
}

test("a merge that takes too long is an answer", async () => {
  const { repository, steps } = await withChanges(2);
  await programs({ stdbuf: "exec sleep 60" });
  const answer = await mergerOf(repository, { timeoutMs: 500 }).merge({ steps });
  expect(answer).toEqual({
    kind: "error",
    detail: "GIT_TIMEOUT: stdbuf git merge-tree took longer than 0.5 s",
  });
});

test("objects that are broken or missing are an error that names them, and other repositories go on", async () => {
  const { repository, root, steps } = await withChanges(2);
  const fine = await withChanges(2);
  const merger = new Merger({
    repositoryOf: (p) => (p === "fine" ? fine : { repository }).repository.gitDir,
  });
  onTestFinished(() => merger.close());
  const missing = { ...steps[0]!, commit: "1".repeat(40) };
  expect(await merger.merge({ steps: [missing] })).toEqual({
    kind: "error",
    detail: `GIT_FAILED: there is no commit ${missing.commit}`,
  });
  await git(["repack", "-adq"], { gitDir: repository.gitDir });
  const blob = await git(["rev-parse", `${root}:a`], { gitDir: repository.gitDir });
  await git(["unpack-objects", "-q"], { gitDir: repository.gitDir, input: "", allow: [0, 128] });
  const packs = join(repository.gitDir, "objects/pack");
  for (const file of await readdir(packs)) {
    if (!file.endsWith(".pack")) continue;
    await chmod(join(packs, file), 0o644);
    await writeFile(join(packs, file), "broken");
  }
  expect(blob.stdout.length).toBeGreaterThan(0);
  const answer = await merger.merge({ steps });
  expect(answer.kind).toBe("error");
  const others = fine.steps.map((step) => ({ ...step, project: "fine" }));
  merged(await merger.merge({ steps: others }));
});

test("requests that make no sense are errors that say why", async () => {
  const { repository, steps } = await withChanges(1);
  const [step] = steps as [MergeStep];
  const merger = new Merger({ repositoryOf: (p) => (p === "p" ? repository.gitDir : undefined) });
  onTestFinished(() => merger.close());
  const wrong: readonly (readonly [Partial<Record<keyof MergeStep, unknown>>, string])[] = [
    [{ commit: step.commit.slice(0, 12) }, "steps.0.commit: is no full object id"],
    [{ commit: "HEAD" }, "steps.0.commit: is no full object id"],
    [{ since: "HEAD" }, "steps.0.since: is no full object id"],
    [{ branch: "a..b" }, "steps.0.branch: is no name of a branch"],
    [{ branch: "--upload-pack=x y" }, "steps.0.branch: is no name of a branch"],
    [{ mode: "octopus" }, 'steps.0.mode: Invalid option: expected one of "merge"'],
    [{ project: "q" }, 'there is no repository of "q"'],
  ];
  for (const [change, why] of wrong) {
    const answer = await merger.merge({ steps: [{ ...step, ...change } as MergeStep] });
    expect(answer).toMatchObject({ kind: "error", detail: expect.stringContaining(why) });
    expect(answer.kind === "error" && answer.detail).toContain("MERGER_REQUEST_INVALID");
  }
  const many = await merger.merge({ steps: Array<MergeStep>(1_001).fill(step) });
  expect(many).toMatchObject({ kind: "error", detail: expect.stringContaining("<=1000") });
  expect(() => new Merger({ repositoryOf: () => "", committer: { name: "A <b", email: "c" } })).toThrow(
    "MERGER_REQUEST_INVALID",
  );
});

test("more requests than may wait, and any after the end, are told so", async () => {
  const { repository, steps } = await withChanges(1);
  const merger = mergerOf(repository, { maxRequests: 2 });
  const answers = await Promise.all([1, 2, 3].map(() => merger.merge({ steps })));
  expect(answers.map(({ kind }) => kind)).toEqual(["merged", "merged", "error"]);
  expect(answers[2]).toMatchObject({ detail: "MERGER_BUSY: 2 requests are under way; ask again later" });
  await merger.close();
  expect(await merger.merge({ steps })).toMatchObject({ kind: "error" });
});

test("processes of repositories that are used no more are ended, and nothing is left at the end", async () => {
  const made = [await withChanges(2), await withChanges(2), await withChanges(2)];
  const scratchDir = await folder();
  const merger = new Merger({
    repositoryOf: (project) => made[Number(project)]?.repository.gitDir,
    maxOpenRepositories: 1,
    scratchDir,
  });
  for (const [round, isKnown] of [
    [0, false],
    [1, false],
    [2, false],
    [0, true],
  ] as const) {
    const steps = made[round]!.steps.map((step) => ({ ...step, project: String(round) }));
    merged(await merger.merge({ steps }));
    // What is remembered needs none.
    expect(merger.pids).toHaveLength(isKnown ? 0 : 1);
  }
  await merger.close();
  expect(merger.pids).toEqual([]);
  expect(await readdir(scratchDir)).toEqual([]);
});

/** Merges by the attributes that a repository holds. */
async function withAttributes(
  before: Readonly<Record<string, Entry>>,
  ours: Readonly<Record<string, Entry>>,
  theirs: Readonly<Record<string, Entry>>,
) {
  const repository = await BareRepository.make();
  onTestFinished(() => repository[Symbol.asyncDispose]());
  const root = await repository.commit("main", before);
  await repository.commit("main", ours);
  const commit = await repository.commit("change", theirs, { from: root });
  const merger = mergerOf(repository);
  const answers = [];
  for (const mode of ["merge", "cherry-pick", "squash-merge", "rebase"] as const) {
    const answer = await merger.merge({ steps: [{ project: "p", branch: "main", commit, mode }] });
    if (answer.kind === "error") throw new Error(answer.detail);
    answers.push(
      answer.kind === "conflict" ? answer.detail : await repository.files(answer.steps[0]!.commit),
    );
  }
  for (const answer of answers) expect(typeof answer).toBe(typeof answers[0]);
  if (typeof answers[0] !== "string") for (const answer of answers) expect(answer).toEqual(answers[0]);
  return answers[0]!;
}

test("attributes of the base decide how files merge, those of folders too, and others' do not", async () => {
  const both = [
    { log: "1\nours\n", "d/log": "1\nours\n" },
    { log: "1\ntheirs\n", "d/log": "1\ntheirs\n" },
  ] as const;
  const before = { log: "1\n", "d/log": "1\n" };
  expect(await withAttributes({ ...before, ".gitattributes": "log merge=union\n" }, ...both)).toEqual([
    "100644 .gitattributes [log merge=union\n]",
    "100644 d/log [1\nours\ntheirs\n]",
    "100644 log [1\nours\ntheirs\n]",
  ]);
  expect(await withAttributes({ ...before, "d/.gitattributes": "log merge=union\n" }, ...both)).toMatch(
    / log \(contents\)$/,
  );
  const late = { ...both[1], ".gitattributes": "log merge=union\n" };
  expect(await withAttributes(before, both[0], late)).toContain("log (contents)");
  const here = { ...both[0], ".gitattributes": "log merge=union\n" };
  expect(await withAttributes(before, here, both[1])).toHaveLength(3);
  expect(
    await withAttributes(
      { a: text(), ".gitattributes": "a -merge\n" },
      { a: text({ 1: "x" }) },
      { a: text({ 18: "y" }) },
    ),
  ).toContain("a (binary)");
});

test("line ends stay as they are committed, whatever the attributes say of work trees", async () => {
  const crlf = (edits: Readonly<Record<number, string>>) => text(edits).replaceAll("\n", "\r\n");
  const attributes = "* text=auto eol=crlf\nraw -text\n";
  const before = { ".gitattributes": attributes, raw: crlf({}), auto: text() };
  const files = await withAttributes(
    before,
    { raw: crlf({ 1: "x" }), auto: text({ 1: "x" }) },
    { raw: crlf({ 18: "y" }), auto: text({ 18: "y" }) },
  );
  expect(files.slice(1)).toEqual([
    `100644 auto [${text({ 1: "x", 18: "y" })}]`,
    `100644 raw [${crlf({ 1: "x", 18: "y" })}]`,
  ]);
});

test("attributes that change in the midst of a chain hold from there on", async () => {
  const repository = await BareRepository.make();
  onTestFinished(() => repository[Symbol.asyncDispose]());
  const root = await repository.commit("main", { log: "1\n" });
  const commits = [
    await repository.commit("one", { log: "1\none\n" }, { from: root }),
    await repository.commit("two", { ".gitattributes": "log merge=union\n" }, { from: root }),
    await repository.commit("three", { log: "1\nthree\n" }, { from: root }),
  ];
  const steps = commits.map((commit) => ({ project: "p", branch: "main", commit, mode: "merge" as const }));
  const merger = mergerOf(repository);
  const { heads } = merged(await merger.merge({ steps }));
  expect(await repository.files(heads[0]!.commit)).toContain("100644 log [1\none\nthree\n]");
  expect(await merger.merge({ steps: steps.toSpliced(1, 1) })).toMatchObject({ kind: "conflict", link: 1 });
});

test("a merge driver of a repository's own is never run: where both sides need it that is a conflict", async () => {
  const before = { a: text(), lock: text(), ".gitattributes": "lock merge=npm\n" };
  const detail = await withAttributes(before, { lock: text({ 1: "x" }) }, { lock: text({ 18: "y" }) });
  expect(detail).toContain(
    "both sides touch files with a merge driver of their own, and a gate runs none: lock (merge=npm)",
  );
  const files = await withAttributes(before, { lock: text({ 1: "x" }) }, { a: text({ 18: "y" }) });
  expect(files).toContain(`100644 lock [${text({ 1: "x" })}]`);
});

test("a link that is called .gitattributes, and folders that no checkout has, are not followed", async () => {
  const before = {
    log: "1\n",
    real: "log merge=union\n",
    ".gitattributes": { mode: "120000", content: "real" },
  };
  expect(await withAttributes(before, { log: "1\nours\n" }, { log: "1\ntheirs\n" })).toContain(
    "log (contents)",
  );
});

test("attributes have limits", async () => {
  const { repository, root } = await withChanges(0);
  await repository.commit("main", { ".gitattributes": "# \n".repeat(400_000) });
  const commit = await repository.commit("change", { c: "1" }, { from: root });
  const answer = await mergerOf(repository).merge({
    steps: [{ project: "p", branch: "main", commit, mode: "merge" }],
  });
  expect(answer).toEqual({
    kind: "error",
    detail: "MERGER_LIMIT: .gitattributes has 1200000 bytes, limit 1048576",
  });
});
