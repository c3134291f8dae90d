import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { git, gitLine } from "../../src/git/git.ts";
import { Stage } from "./stage.ts";

describe("a push for review", () => {
  let stage: Stage;
  let projects = 0;
  let project = "";

  beforeAll(async () => {
    stage = await Stage.start();
    await stage.forge.createProject("library");
  });
  afterAll(() => stage.end());
  beforeEach(async () => {
    project = `app${++projects}`;
    await stage.forge.createProject(project, { branches: ["main", "stable"] });
    stage.told();
  });

  test("makes a change, and the answer says its number, how to fetch it and what to do next", async () => {
    const clone = await stage.clone(project, "alice");
    const head = await clone.commit("Add a parser\n\nIt parses.", { "parser.js": "1\n" });
    const said = await clone.push("refs/for/main");
    expect(said.code).toBe(0);
    const { number } = stage.forge.changes({ project })[0]!;
    const lines = said.text.split("\n");
    expect(lines).toContain(`Change ${number} is new: Add a parser (${head.slice(0, 10)})`);
    expect(lines).toContain(`  ${stage.url}/changes/${number}`);
    expect(lines).toContain(`  git fetch ${stage.remote(project)} refs/changes/${number}/1`);
    expect(lines).toContain(
      `  to revise it:  git commit --amend, then git push origin HEAD:refs/for/main%change=${number}`,
    );
    expect(lines).toContain(`  to approve it: drover gate approve ${number}`);
    expect(said.text).toContain(`HEAD -> refs/changes/${number}/1`);
    expect(stage.told()).toEqual([`local:${number},1 open`, `change-created local:${number}`]);
    expect(stage.forge.change(number)).toMatchObject({
      project,
      branch: "main",
      owner: "alice",
      state: "open",
      revision: 1,
      changeId: null,
      revisions: [{ head, title: "Add a parser", author: "alice", pusher: "alice" }],
    });
    expect(await clone.ok("fetch", "-q", "origin", `refs/changes/${number}/1`)).toBe("");
    expect(await clone.ok("rev-parse", "FETCH_HEAD")).toBe(head);
  });

  test("is on the disk when it is answered: git flushes objects and refs there, which it does not by itself", async () => {
    const gitDir = stage.forge.gitDir(project);
    const trace = join(gitDir, "trace");
    const flushes = async (args: readonly string[], input?: string) => {
      const env = { GIT_TRACE2_EVENT: trace };
      await git(args, { gitDir, env, ...(input === undefined ? {} : { input }) });
      const told = readFileSync(trace, "utf8").trim().split("\n");
      rmSync(trace);
      const counted = told.map((line) => JSON.parse(line)).find(({ key }) => key === "fsync/hardware-flush");
      return Number(counted?.value ?? 0);
    };
    expect(await flushes(["hash-object", "-w", "--stdin"], "something new\n")).toBeGreaterThan(0);
    const main = await gitLine(["rev-parse", "refs/heads/main"], { gitDir });
    expect(await flushes(["update-ref", "refs/heads/flushed", main])).toBeGreaterThan(0);
    expect(await flushes(["-c", "core.fsync=none", "hash-object", "-w", "--stdin"], "more\n")).toBe(0);
  });

  test("revises the change that it names, in the ref or as an option", async () => {
    const clone = await stage.clone(project, "alice");
    await clone.commit("One", { a: "1" });
    await clone.push("refs/for/main");
    const { number } = stage.forge.changes({ project })[0]!;
    await clone.amend(undefined, { a: "2" });
    const second = await clone.push(`refs/for/main%change=${number}`);
    expect(second.text).toContain(`Change ${number} has revision 2: One`);
    const third = await clone.amend(undefined, { a: "3" });
    expect((await clone.push("refs/for/main", "-o", `change=${number}`)).code).toBe(0);
    expect(stage.forge.change(number)).toMatchObject({ revision: 3, record: { commit: third } });
    expect(stage.forge.changes({ project })).toHaveLength(1);
  });

  test("revises by Change-Id, each change of a chain by itself", async () => {
    const clone = await stage.clone(project, "alice");
    const idOf = (letter: string): string => `Change-Id: I${letter.repeat(40)}`;
    await clone.commit(`A\n\n${idOf("a")}`, { a: "1" });
    await clone.commit("part of B", { b: "1" });
    await clone.commit(`B\n\n${idOf("b")}`, { b: "2" });
    await clone.commit("C", { c: "1" });
    const first = await clone.push("refs/for/main%topic=chain");
    expect(first.code).toBe(0);
    const [c, b, a] = stage.forge.changes({ project }).map(({ number }) => number) as [
      number,
      number,
      number,
    ];
    expect([a, b, c]).toEqual([a, a + 1, a + 2]);
    expect(first.text).toContain(`needs change ${b}, on which it is built: open`);
    expect(stage.told()).toEqual([
      `local:${a},1 open`,
      `local:${b},1 open needs local:${a},1`,
      `local:${c},1 open needs local:${b},1`,
      `change-created local:${a}`,
      `change-created local:${b}`,
      `change-created local:${c}`,
    ]);
    expect((await stage.forge.paths(b)).map(String)).toEqual(["b"]);

    const old = await clone.head();
    await clone.ok("reset", "-q", "--hard", "HEAD~3");
    await clone.amend(undefined, { a: "2" });
    await clone.ok("cherry-pick", `${old}~2`, `${old}~1`, old);
    expect((await clone.push("refs/for/main%topic=chain")).code).toBe(0);
    expect(stage.told()).toEqual([
      `local:${a},2 open`,
      `local:${b},2 open needs local:${a},2`,
      `local:${c},2 open needs local:${b},2`,
      `change-created local:${a}`,
      `change-created local:${b}`,
      `change-created local:${c}`,
    ]);
  });

  test("without a Change-Id a topic tells whose change it is", async () => {
    const clone = await stage.clone(project, "alice");
    await clone.commit("One", { a: "1" });
    await clone.push("refs/for/main%topic=fast");
    const { number } = stage.forge.changes({ project })[0]!;
    await clone.amend(undefined, { a: "2" });
    expect((await clone.push("refs/for/main%topic=fast")).text).toContain(`Change ${number} has revision 2`);
    // A commit on top becomes a part of it.
    await clone.commit("Two", { b: "1" });
    expect((await clone.push("refs/for/main%topic=fast")).text).toContain(`Change ${number} has revision 3`);
    expect((await stage.forge.paths(number)).map(String)).toEqual(["a", "b"]);
    // Another one's topic is another.
    const other = await stage.clone(project, "bob");
    await other.commit("Three", { c: "1" });
    expect((await other.push("refs/for/main%topic=fast")).text).toContain("is new");
    expect(stage.forge.changes({ project })).toHaveLength(2);
  });

  test("of the same head again changes nothing, and says so", async () => {
    const clone = await stage.clone(project, "alice");
    await clone.commit("One", { a: "1" });
    await clone.push("refs/for/main");
    const { number } = stage.forge.changes({ project })[0]!;
    stage.told();
    const said = await clone.push("refs/for/main");
    expect(said.code).toBe(0);
    expect(said.text).toContain(`No change: this is revision 1 of change ${number} already`);
    expect(stage.told()).toEqual([]);
  });

  test("of an older revision makes it the current one again, and a change on an older revision says that it is", async () => {
    const clone = await stage.clone(project, "alice");
    const old = await clone.commit("One", { a: "1" });
    await clone.push("refs/for/main");
    const { number } = stage.forge.changes({ project })[0]!;
    await clone.amend(undefined, { a: "2" });
    await clone.push(`refs/for/main%change=${number}`);
    await clone.ok("checkout", "-q", old);
    await clone.commit("On the old one", { b: "1" });
    stage.told();
    const said = await clone.push("refs/for/main");
    expect(said.text).toContain("its revision 1 is not the current one: rebase it");
    expect(stage.told()[0]).toBe(`local:${number + 1},1 open needs local:${number},1`);
    await clone.ok("checkout", "-q", old);
    expect((await clone.push("refs/for/main")).text).toContain(`Change ${number} has revision 3`);
    expect(stage.forge.change(number)!.record.commit).toBe(old);
  });

  test("reads Depends-On from all commits of a change, in any letter case, and echoes what it found", async () => {
    const lib = await stage.clone("library", "bob");
    await lib.commit("Library", { lib: String(projects) });
    await lib.push("refs/for/main");
    const target = stage.forge.changes({ project: "library" })[0]!.number;
    const clone = await stage.clone(project, "alice");
    await clone.commit(`First\n\ndepends-on: gate:library/${target}`, { a: "1" });
    await clone.commit(
      `Second\n\nDEPENDS-ON: ${stage.url}/changes/${target}\nDepends-On: https://elsewhere.example/changes/1\nDepends-On: gate:library/999999\nDepends-On: what he said\n Depends-On: gate:library/1`,
      { b: "1" },
    );
    const said = await clone.push("refs/for/main%topic=both");
    expect(said.code).toBe(0);
    const lines = said.text.split("\n");
    expect(lines).toContain(`  needs gate:library/${target}: change ${target} of library, open`);
    expect(lines).toContain(`  needs ${stage.url}/changes/${target}: change ${target} of library, open`);
    expect(lines).toContain(
      "  needs https://elsewhere.example/changes/1: this gate knows no forge at elsewhere.example; it waits",
    );
    expect(lines).toContain("  needs gate:library/999999: there is no change 999999 yet; it waits");
    expect(lines).toContain(
      "  needs what he said: it names no change: write gate:PROJECT/NUMBER or the change's address; it waits",
    );
    const { number } = stage.forge.changes({ project })[0]!;
    expect(stage.forge.record(number)!.needs.map(({ source }) => source)).toEqual([
      `gate:library/${target}`,
      `${stage.url}/changes/${target}`,
      "https://elsewhere.example/changes/1",
      "gate:library/999999",
      "what he said",
    ]);
    expect(stage.forge.change(target)!.neededBy).toEqual([number]);
    // What becomes of a change is told to those that need it.
    stage.told();
    stage.forge.abandon(target, { name: "bob", role: "user" });
    expect(stage.told()).toEqual([
      `local:${target},1 abandoned`,
      expect.stringContaining(`local:${number},1 open needs change ${target} is abandoned`),
    ]);
  });

  test("refuses what cannot be, with the reason for each ref", async () => {
    const clone = await stage.clone(project, "alice");
    const main = (await clone.head()).slice(0, 10);
    expect((await clone.push("refs/for/main")).text).toContain(
      `main has ${main} already: there is nothing to review`,
    );
    await clone.commit("One", { a: "1" });
    const blob = await clone.ok("hash-object", "-w", "a");
    await clone.ok("checkout", "-q", "--orphan", "other");
    await clone.commit("Root\n\nChange-Id: Inothing", { z: "1" });
    await clone.ok("checkout", "-q", "main");
    const refusals: Record<string, string> = {
      "HEAD:refs/for/nowhere": `${project} has no branch nowhere; it has main, stable`,
      "HEAD:refs/for/main%change=77777": "there is no change 77777",
      "HEAD:refs/for/main%change=x": "change=x: no number of a change",
      "HEAD:refs/for/main%reviewer=x": "there is no option reviewer=x",
      "HEAD:refs/for/main%topic=": "a topic has 1 to 100 characters",
      "HEAD:refs/heads/main": "main is gated: push to refs/for/main",
      "+other:refs/heads/stable": "stable is gated",
      "HEAD:refs/heads/new": "only operators make branches",
      "HEAD:refs/tags/v1": "only operators make branches, and make or move tags",
      "HEAD:refs/notes/x": "push to refs/for/BRANCH; operators also to refs/heads/",
      "HEAD:refs/changes/1/1": "deny updating a hidden ref",
      "HEAD:refs/drover/x": "deny updating a hidden ref",
      "other:refs/for/main": "is Inothing: it must be an I and 8 to 64 hexadecimal digits",
      [`${blob}:refs/for/stable`]: "it is a blob, not a commit",
      [`HEAD:refs/for/${"x".repeat(200)}`]: "the name has 209 bytes, limit maxRefBytes 200",
    };
    const said = await clone.git("push", "origin", ...Object.keys(refusals));
    expect(said.code).not.toBe(0);
    for (const [refspec, reason] of Object.entries(refusals)) {
      const [source, ref] = refspec.replace("+", "").split(":") as [string, string];
      const line = said.text
        .split("\n")
        .find((one) => one.includes(`${source} -> ${ref.replace(/^refs\/(heads|tags)\//, "")}`));
      expect(line, refspec).toContain(reason);
    }
    expect((await clone.git("push", "origin", ":refs/heads/stable")).text).toContain("stable is gated");
    expect((await clone.push("refs/for/main", "-o", "ci.skip")).text).toContain("there is no option ci.skip");
    const both = await clone.git("push", "--atomic", "origin", "HEAD:refs/for/main", "HEAD:refs/for/stable");
    expect(both.text).toContain("push one ref at a time, or without --atomic");
    await clone.ok("checkout", "-q", "other");
    await clone.amend("Root");
    expect((await clone.push("refs/for/main")).text).toContain("no history in common with main");
    expect(stage.forge.changes({ project })).toEqual([]);
    expect(stage.told()).toEqual([]);
  });

  test("refuses somebody else's change, a closed one, and a Change-Id that is there twice", async () => {
    const alice = await stage.clone(project, "alice");
    const id = `Change-Id: I${"c".repeat(40)}`;
    await alice.commit(`One\n\n${id}`, { a: "1" });
    await alice.push("refs/for/main");
    const { number } = stage.forge.changes({ project })[0]!;
    const bob = await stage.clone(project, "bob");
    await bob.commit(`Mine\n\n${id}`, { a: "2" });
    expect((await bob.push("refs/for/main")).text).toContain(
      `change ${number} is alice's: only alice or an operator revises it`,
    );
    const root = await stage.clone(project, "root");
    await root.commit(`Better\n\n${id}`, { a: "3" });
    expect((await root.push("refs/for/main")).text).toContain(`Change ${number} has revision 2`);
    expect(stage.forge.change(number)!.owner).toBe("alice");
    await alice.commit(`Two\n\n${id}`, { b: "1" });
    expect((await alice.push("refs/for/main")).text).toContain("two commits of the push");
    await alice.ok("reset", "-q", "--hard", "HEAD~1");
    stage.forge.abandon(number, { name: "alice", role: "user" });
    expect((await alice.push("refs/for/main")).text).toContain(
      `change ${number} is abandoned: drover gate restore ${number}`,
    );
    stage.forge.restore(number, { name: "alice", role: "user" });
    expect((await alice.push("refs/for/main")).text).toContain(`Change ${number} has revision 3`);
    // The same trailer for another branch is another change.
    expect((await alice.push("refs/for/stable")).text).toContain("is new");
  });
});
