import { expect, test } from "vitest";
import { type MergeAnswer, type MergeMode, Merger } from "../src/merger/index.ts";
import { BareRepository, type Entry } from "./bare-repository.ts";

const LINES = Array.from({ length: 20 }, (_, i) => `line ${i}\n`);
const text = (edits: Readonly<Record<number, string>> = {}): string =>
  LINES.map((line, i) => (edits[i] === undefined ? line : `${edits[i]}\n`)).join("");

const COMMITTER = { name: "Gate", email: "gate@localhost" };

function mergerOf(repositories: Readonly<Record<string, BareRepository>>): Merger {
  return new Merger({ repositoryOf: (project) => repositories[project]?.gitDir, committer: COMMITTER });
}

function merged(answer: MergeAnswer) {
  if (answer.kind !== "merged") throw new Error(`${answer.kind}: ${answer.detail}`);
  return answer;
}

/** Merges one change that parted from `main`. */
async function mergeOne(
  before: Readonly<Record<string, Entry>>,
  ours: Readonly<Record<string, Entry>>,
  theirs: Readonly<Record<string, Entry>>,
  mode: MergeMode = "merge",
) {
  await using repository = await BareRepository.make();
  await using merger = mergerOf({ p: repository });
  const root = await repository.commit("main", before);
  await repository.commit("main", ours);
  const commit = await repository.commit("change", theirs, { from: root });
  const answer = await merger.merge({ steps: [{ project: "p", branch: "main", commit, mode }] });
  const files = answer.kind === "merged" ? await repository.files(answer.steps[0]!.commit) : [];
  return { answer, files };
}

test("a change on top of its branch becomes the branch, and another one a merge commit on it", async () => {
  await using repository = await BareRepository.make();
  await using merger = mergerOf({ p: repository });
  const root = await repository.commit("main", { a: text() });
  const first = await repository.commit("one", { a: text({ 1: "one" }) }, { from: root });
  const second = await repository.commit(
    "two",
    { a: text({ 18: "two" }) },
    { from: root, message: "Second\n\nwith words\n", committer: "C <c@localhost> 1800000000 +0130" },
  );
  const steps = [first, second].map((commit) => ({
    project: "p",
    branch: "main",
    commit,
    mode: "merge" as const,
  }));
  const answer = merged(await merger.merge({ steps }));
  const last = answer.steps[1]!.commit;
  expect(answer.steps).toEqual([
    { base: root, commit: first },
    { base: first, commit: last },
  ]);
  expect(answer.heads).toEqual([{ project: "p", branch: "main", commit: last }]);
  expect(answer.bases).toEqual([{ project: "p", branch: "main", commit: root }]);
  expect(answer.merges).toBe(2);
  expect(await repository.files(last)).toEqual([`100644 a [${text({ 1: "one", 18: "two" })}]`]);
  const [, ...lines] = (await repository.raw(last)).split("\n");
  expect(lines).toEqual([
    `parent ${first}`,
    `parent ${second}`,
    "author Gate <gate@localhost> 1800000000 +0130",
    "committer Gate <gate@localhost> 1800000000 +0130",
    "",
    'Merge "Second"',
    "",
  ]);
});

test("a stack of changes stays the stack that it is, and what is in the branch already changes nothing", async () => {
  await using repository = await BareRepository.make();
  await using merger = mergerOf({ p: repository });
  const root = await repository.commit("main", { a: "1" });
  const first = await repository.commit("stack", { b: "1" }, { from: root });
  const second = await repository.commit("stack", { c: "1" });
  const third = await repository.commit("stack", { d: "1" });
  for (const mode of ["merge", "cherry-pick", "rebase"] as const) {
    const steps = [first, second, third, root].map((commit) => ({
      project: "p",
      branch: "main",
      commit,
      mode,
    }));
    const answer = merged(await merger.merge({ steps }));
    expect(answer.steps.map(({ commit }) => commit)).toEqual([first, second, third, third]);
  }
  const whole = { project: "p", branch: "main", commit: third };
  for (const mode of ["merge", "rebase"] as const)
    expect(merged(await merger.merge({ steps: [{ ...whole, mode }] })).heads).toEqual([whole]);
  const squashed = merged(await merger.merge({ steps: [{ ...whole, mode: "squash-merge" }] })).steps[0]!;
  expect(await repository.raw(squashed.commit)).toContain(`parent ${root}\n`);
  expect(await repository.files(squashed.commit)).toHaveLength(4);
});

test("picked commits keep author, message and encoding byte for byte, and take the later date in the change's zone", async () => {
  await using repository = await BareRepository.make();
  await using merger = mergerOf({ p: repository });
  const root = await repository.commit("main", { a: text() });
  const onto = await repository.commit("main", { b: "1" }, { committer: "M <m@localhost> 1900000000 -0500" });
  const author = "J\xfcrgen <j@localhost> 1650000000 -0800";
  const change = {
    from: root,
    author,
    message: "Gr\xfc\xdfe\n\n\xe9\n\nChange-Id: I1\n",
    encoding: "ISO-8859-1",
  };
  const commit = await repository.commit(
    "change",
    { a: text({ 3: "x" }) },
    { ...change, committer: "C <c@localhost> 1700000000 +0200" },
  );
  for (const mode of ["cherry-pick", "rebase", "squash-merge"] as const) {
    const step = { project: "p", branch: "main", commit, mode };
    const made = merged(await merger.merge({ steps: [step] })).steps[0]!.commit;
    const [, ...lines] = (await repository.raw(made)).split("\n");
    expect(lines).toEqual([
      `parent ${onto}`,
      `author ${author}`,
      "committer Gate <gate@localhost> 1900000000 +0200",
      "encoding ISO-8859-1",
      "",
      ...change.message.split("\n"),
    ]);
  }
});

test("equal input gives the same commits in another repository and another merger", async () => {
  const made: string[][] = [];
  for (let round = 0; round < 2; round++) {
    await using repository = await BareRepository.make();
    await using merger = mergerOf({ p: repository });
    const root = await repository.commit("main", { a: text() });
    await repository.commit("main", { z: "1" });
    const changes = [];
    for (const mode of ["merge", "cherry-pick", "squash-merge", "rebase"] as const) {
      const commit = await repository.commit(mode, { [mode]: "1" }, { from: root });
      changes.push({ project: "p", branch: "main", commit, mode });
    }
    made.push(merged(await merger.merge({ steps: changes })).steps.map(({ commit }) => commit));
  }
  expect(made[1]).toEqual(made[0]);
});

test("picks that would be empty are left out", async () => {
  await using repository = await BareRepository.make();
  await using merger = mergerOf({ p: repository });
  const root = await repository.commit("main", { a: text() });
  const same = await repository.commit("change", { a: text({ 2: "x" }) }, { from: root });
  const more = await repository.commit("change", { b: "1" });
  const onto = await repository.commit("main", { a: text({ 2: "x" }), c: "1" });
  const step = { project: "p", branch: "main" };
  const picked = merged(await merger.merge({ steps: [{ ...step, commit: same, mode: "cherry-pick" }] }));
  expect(picked.steps).toEqual([{ base: onto, commit: onto }]);
  const rebased = merged(await merger.merge({ steps: [{ ...step, commit: more, mode: "rebase" }] }))
    .steps[0]!;
  expect(await repository.raw(rebased.commit)).toContain(`parent ${onto}\n`);
});

test("of a change of several commits those after `since` are picked, and the head alone without it", async () => {
  await using repository = await BareRepository.make();
  await using merger = mergerOf({ p: repository });
  const root = await repository.commit("main", { a: "1" });
  const other = await repository.commit("change", { other: "1" }, { from: root });
  await repository.commit("change", { b: "1" });
  const head = await repository.commit("change", { c: "1" });
  await repository.commit("main", { m: "1" });
  const step = { project: "p", branch: "main", commit: head, mode: "cherry-pick" as const };
  const paths = async (since?: string) => {
    const one = since === undefined ? step : { ...step, since };
    const { commit } = merged(await merger.merge({ steps: [one] })).steps[0]!;
    return (await repository.files(commit)).map((line) => line.split(" ")[1]);
  };
  expect(await paths()).toEqual(["a", "c", "m"]);
  expect(await paths(other)).toEqual(["a", "b", "c", "m"]);
  expect(await paths(root)).toEqual(["a", "b", "c", "m", "other"]);
});

test("a first commit and a merge can be picked", async () => {
  await using repository = await BareRepository.make();
  await using merger = mergerOf({ p: repository });
  const root = await repository.commit("main", { a: "1" });
  const alone = await repository.commit("alone", { b: "1" }, { from: null });
  const side = await repository.commit("side", { s: "1" }, { from: root });
  const merge = await repository.commit("change", { s: "1", t: "1" }, { from: root, merge: side });
  const tip = await repository.commit("main", { m: "1" });
  const step = { project: "p", branch: "main", mode: "cherry-pick" as const };
  const answer = merged(await merger.merge({ steps: [alone, merge].map((commit) => ({ ...step, commit })) }));
  const [first, second] = answer.steps;
  expect(await repository.raw(first!.commit)).toContain(`parent ${tip}\n`);
  expect(await repository.raw(second!.commit)).toContain(`parent ${first!.commit}\nparent ${merge}\n`);
  expect(await repository.files(second!.commit)).toHaveLength(5);
});

test("a chain goes through projects and branches, each on what came before it in its own", async () => {
  await using one = await BareRepository.make();
  await using two = await BareRepository.make();
  await using merger = mergerOf({ one, two });
  const [tipOne, tipTwo] = [await one.commit("main", { a: "1" }), await two.commit("main", { a: "1" })];
  const stable = await one.commit("stable/1", { s: "1" }, { from: tipOne });
  const steps = [
    { project: "one", branch: "main", commit: await one.commit("x", { x: "1" }, { from: tipOne }) },
    { project: "two", branch: "main", commit: await two.commit("x", { x: "1" }, { from: tipTwo }) },
    { project: "one", branch: "stable/1", commit: await one.commit("z", { z: "1" }, { from: tipOne }) },
    { project: "one", branch: "main", commit: await one.commit("y", { y: "1" }, { from: tipOne }) },
  ].map((step) => ({ ...step, mode: "merge" as const }));
  const answer = merged(await merger.merge({ steps }));
  expect(answer.steps.map(({ base }) => base)).toEqual([tipOne, tipTwo, stable, answer.steps[0]!.commit]);
  expect(await one.files(answer.heads[0]!.commit)).toHaveLength(3);
  expect(await one.files(answer.heads[2]!.commit)).toHaveLength(3);
  expect(answer.bases.map(({ commit }) => commit)).toEqual([tipOne, tipTwo, stable]);
  expect(await one.tip("refs/heads/main")).toBe(tipOne);
});

test("a frozen base is used whatever the branch is by then, and a branch that is gone does not matter", async () => {
  await using repository = await BareRepository.make();
  await using merger = mergerOf({ p: repository });
  const root = await repository.commit("main", { a: text() });
  const commit = await repository.commit("change", { a: text({ 1: "x" }) }, { from: root });
  await repository.commit("main", { a: text({ 1: "y" }) });
  const steps = [{ project: "p", branch: "main", commit, mode: "merge" as const }];
  expect((await merger.merge({ steps })).kind).toBe("conflict");
  const bases = [{ project: "p", branch: "main", commit: root }];
  expect(merged(await merger.merge({ steps, bases })).heads[0]!.commit).toBe(commit);
  const gone = [{ project: "p", branch: "gone", commit, mode: "merge" as const }];
  expect(await merger.merge({ steps: gone })).toEqual({
    kind: "error",
    detail: "GIT_FAILED: p has no branch gone",
  });
  const frozen = [{ project: "p", branch: "gone", commit: root }];
  expect((await merger.merge({ steps: gone, bases: frozen })).kind).toBe("merged");
});

const CONFLICTS: readonly (readonly [
  string,
  Record<string, Entry>,
  Record<string, Entry>,
  string,
  string[],
])[] = [
  ["two edits of a line", { a: text({ 5: "x" }) }, { a: text({ 5: "y" }) }, "a (contents)", ["a"]],
  ["one new path twice", { n: "1\n" }, { n: "2\n" }, "n (contents)", ["n"]],
  ["an edit of what is deleted", { a: null }, { a: text({ 5: "y" }) }, "a (modify/delete)", ["a"]],
  ["two edits of bytes", { b: "\0x" }, { b: "\0y" }, "b (binary)", ["b"]],
  [
    "two links",
    { l: { mode: "120000", content: "x" } },
    { l: { mode: "120000", content: "y" } },
    "l (contents)",
    ["l"],
  ],
  [
    "a submodule moved twice",
    { m: { mode: "160000", content: "2".repeat(40) } },
    { m: { mode: "160000", content: "3".repeat(40) } },
    "m (submodule not initialized)",
    ["m"],
  ],
];

for (const [name, ours, theirs, shown, paths] of CONFLICTS) {
  test(`${name} are a conflict that says where`, async () => {
    const before: Record<string, Entry> = {
      a: text(),
      b: "\0",
      l: { mode: "120000", content: "w" },
      m: { mode: "160000", content: "1".repeat(40) },
    };
    for (const mode of ["merge", "cherry-pick", "squash-merge", "rebase"] as const) {
      const { answer } = await mergeOne(before, ours, theirs, mode);
      expect(answer).toMatchObject({ kind: "conflict", link: 0, paths });
      expect(answer.kind === "conflict" && answer.detail).toMatch(
        /^p: \w{12} does not merge into main at \w{12}: /,
      );
      expect(answer.kind === "conflict" && answer.detail).toContain(shown);
    }
  });
}

test("a conflict tells which link of the chain it is", async () => {
  await using repository = await BareRepository.make();
  await using merger = mergerOf({ p: repository });
  const root = await repository.commit("main", { a: text() });
  const steps = [];
  for (const [name, line] of Object.entries({ one: 1, two: 10, three: 1 })) {
    const commit = await repository.commit(name, { a: text({ [line]: name }) }, { from: root });
    steps.push({ project: "p", branch: "main", commit, mode: "merge" as const });
  }
  expect(await merger.merge({ steps })).toMatchObject({ kind: "conflict", link: 2, merges: 3 });
});

test("histories that have nothing in common do not merge, and the ones after them do", async () => {
  await using repository = await BareRepository.make();
  await using merger = mergerOf({ p: repository });
  const root = await repository.commit("main", { a: "1" });
  await repository.commit("main", { b: "1" });
  const alone = await repository.commit("alone", { c: "1" }, { from: null });
  const fine = await repository.commit("fine", { d: "1" }, { from: root });
  const step = { project: "p", branch: "main", mode: "merge" as const };
  const answer = await merger.merge({ steps: [{ ...step, commit: alone }] });
  expect(answer).toMatchObject({ kind: "conflict", link: 0, paths: [] });
  expect(answer.kind === "conflict" && answer.detail).toContain("no history in common");
  merged(await merger.merge({ steps: [{ ...step, commit: fine }] }));
});

test("merge-resolve is done as merge-ort and says so; merge-recursive just is it", async () => {
  const edits = [{ a: text() }, { a: text({ 1: "x" }) }, { a: text({ 9: "y" }) }] as const;
  const plain = merged((await mergeOne(...edits, "merge")).answer);
  const resolve = merged((await mergeOne(...edits, "merge-resolve")).answer);
  const recursive = merged((await mergeOne(...edits, "merge-recursive")).answer);
  expect(resolve.warnings).toEqual(["p: merge-resolve is done as merge-ort, which resolves more"]);
  expect({ ...resolve, warnings: [] }).toEqual(plain);
  expect(recursive).toEqual(plain);
});

test("whatever git can hold goes through unharmed", async () => {
  const deep = `${Array.from({ length: 60 }, (_, i) => `d${i}`).join("/")}/file`;
  const held: Record<string, Entry> = {
    "caf\xe9": "not UTF-8\n",
    '\xff\xfe\xfd/\x80 "quoted"\t': "neither\n",
    "new\\nline": "1\n",
    "\xc3\xbc": "UTF-8\n",
    crlf: "1\r\n2\r\n",
    mixed: "1\r\n2\n3\r",
    binary: "\0\x01\x02\xff\xfe\r\n\0",
    run: { mode: "100755", content: "#!/bin/sh\n" },
    link: { mode: "120000", content: "caf\xe9" },
    module: { mode: "160000", content: "1".repeat(40) },
    [deep]: "deep\n",
    empty: "",
  };
  for (const mode of ["merge", "cherry-pick", "squash-merge", "rebase"] as const) {
    const { answer, files } = await mergeOne(held, { ours: "1" }, { theirs: "1" }, mode);
    expect(answer.kind).toBe("merged");
    const { files: all } = await mergeOne({ ...held, ours: "1", theirs: "1" }, {}, {}, mode);
    expect(files).toHaveLength(14);
    expect(all).toEqual(files);
  }
});

test("modes, links, submodules and bytes that one side changed are taken from it", async () => {
  const before: Record<string, Entry> = {
    run: text(),
    link: { mode: "120000", content: "a" },
    module: { mode: "160000", content: "1".repeat(40) },
    "caf\xe9": text(),
    binary: "\0\x01",
    crlf: text().replaceAll("\n", "\r\n"),
  };
  const theirs: Record<string, Entry> = {
    run: { mode: "100755", content: text() },
    link: { mode: "120000", content: "b" },
    module: { mode: "160000", content: "2".repeat(40) },
    "caf\xe9": text({ 9: "theirs" }),
    binary: "\0\x02",
    crlf: text({ 12: "theirs" }).replaceAll("\n", "\r\n"),
  };
  const ours = {
    run: text({ 3: "ours" }),
    crlf: text({ 2: "ours" }).replaceAll("\n", "\r\n"),
    "caf\xe9": text({ 1: "ours" }),
  };
  const { files } = await mergeOne(before, ours, theirs);
  expect(files).toEqual([
    "100644 binary [\0\x02]",
    `100644 caf\xe9 [${text({ 1: "ours", 9: "theirs" })}]`,
    `100644 crlf [${text({ 2: "ours", 12: "theirs" }).replaceAll("\n", "\r\n")}]`,
    "120000 link [b]",
    `160000 module [${"2".repeat(40)}]`,
    `100755 run [${text({ 3: "ours" })}]`,
  ]);
});

test("a file that was renamed takes the other side's edits along, a folder its new files not unasked", async () => {
  const { files } = await mergeOne({ a: text() }, { a: null, "lib/b": text() }, { a: text({ 4: "edited" }) });
  expect(files).toEqual([`100644 lib/b [${text({ 4: "edited" })}]`]);
  const { answer } = await mergeOne(
    { "old/a": text(), "old/b": text({ 1: "b" }) },
    { "old/a": null, "old/b": null, "new/a": text(), "new/b": text({ 1: "b" }) },
    { "old/c": "c\n" },
  );
  expect(answer).toMatchObject({ kind: "conflict", paths: ["new/c"] });
});

test("repositories that hash with SHA-256 are merged as others", async () => {
  await using repository = await BareRepository.make("sha256");
  await using merger = mergerOf({ p: repository });
  const root = await repository.commit("main", { a: text() });
  const alone = await repository.commit("alone", { z: "1" }, { from: null });
  const steps = [];
  for (const mode of ["merge", "cherry-pick", "squash-merge", "rebase"] as const) {
    const commit = await repository.commit(mode, { [mode]: "1" }, { from: root });
    steps.push({ project: "p", branch: "main", commit, mode });
  }
  steps.push({ project: "p", branch: "main", commit: alone, mode: "cherry-pick" as const });
  const answer = merged(await merger.merge({ steps }));
  expect(answer.heads[0]!.commit).toHaveLength(64);
  expect(await repository.files(answer.heads[0]!.commit)).toHaveLength(6);
});
