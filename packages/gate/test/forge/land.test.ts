import { mkdirSync, renameSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Landing } from "../../src/index.ts";
import { run, Stage } from "./stage.ts";

const ROOT = { name: "root", role: "operator" } as const;
const ALICE = { name: "alice", role: "user" } as const;
const BOB = { name: "bob", role: "user" } as const;

/** What is told when change 1 lands. */
const LANDED = ["local:1,1 merged", "change-merged local:1", "ref-updated app refs/heads/main"];

describe("landing", () => {
  let stage: Stage;

  beforeEach(async () => {
    stage = await Stage.start({ directPush: true });
    await stage.forge.createProject("app", { branches: ["main"] });
  });
  afterEach(() => stage.end());

  /** A change that is pushed, and what lands it as it is. */
  async function change(message: string, file: string): Promise<Landing> {
    const clone = await stage.clone("app", "alice");
    const base = await clone.head();
    const commit = await clone.commit(message, { [file]: message });
    const said = await clone.push("refs/for/main");
    expect(said.code, said.text).toBe(0);
    const { number: changeNumber } = stage.forge.changes({ project: "app" })[0]!;
    return { key: "1", project: "app", branch: "main", base, commit, changeNumber, revision: 1 };
  }

  const main = async (): Promise<string> => (await stage.forge.branches("app")).get("main")!;

  test("moves the branch to exactly the commit, and tells it once, however often it is asked for", async () => {
    const landing = await change("One", "a");
    stage.told();
    expect(await stage.forge.land(landing)).toEqual({ refused: null });
    expect(await main()).toBe(landing.commit);
    expect(stage.told()).toEqual(LANDED);
    expect(await stage.forge.land(landing)).toEqual({ refused: null });
    expect(stage.told()).toEqual([]);
    expect(stage.forge.change(1)).toMatchObject({ state: "merged", mergedCommit: landing.commit });
    await expect(stage.forge.land({ ...landing, commit: landing.base })).resolves.toEqual({ refused: null });
    // What was pushed has merged, so that it cannot be pushed again.
    const clone = await stage.clone("app", "alice");
    expect((await clone.push("refs/for/main")).text).toContain("there is nothing to review");
  });

  test("is refused when the branch is elsewhere, the change is closed or has a newer revision", async () => {
    const one = await change("One", "a");
    const two = { ...(await change("Two", "b")), key: "2" };
    expect(await stage.forge.land(one)).toEqual({ refused: null });
    const refused = {
      refused: `refs/heads/main is at ${one.commit.slice(0, 10)}, not at ${two.base.slice(0, 10)}`,
    };
    expect(await stage.forge.land(two)).toEqual(refused);
    expect(await stage.forge.land(two)).toEqual(refused);
    expect(await main()).toBe(one.commit);
    expect(await stage.forge.land({ ...two, key: "3", revision: 2 })).toEqual({
      refused: "change 2 has a newer revision, 1",
    });
    stage.forge.abandon(2, ALICE);
    expect(await stage.forge.land({ ...two, key: "4" })).toEqual({ refused: "change 2 is abandoned" });
    expect(await stage.forge.land({ ...two, key: "5", changeNumber: 9 })).toEqual({
      refused: "there is no change 9",
    });
  });

  test("is taken up after a crash between the decision and the move", async () => {
    const landing = await change("One", "a");
    // As the journal is when the process is killed right after it decided.
    stage.database.db
      .prepare(
        `INSERT INTO forge_moves (key, project, ref, old, new, change, revision, state, at_ms)
         VALUES ('land:1', 'app', 'refs/heads/main', ?, ?, 1, 1, 'decided', 0)`,
      )
      .run(landing.base, landing.commit);
    await stage.close();
    stage.told();
    await stage.open();
    expect(await main()).toBe(landing.commit);
    expect(stage.told()).toEqual(LANDED);
    expect(await stage.forge.land(landing)).toEqual({ refused: null });
    expect(stage.told()).toEqual([]);
  });

  test("is taken up after a crash between the move and what is told of it, and asking again does as much", async () => {
    const landing = await change("One", "a");
    stage.told();
    stage.onEvents = () => {
      throw new Error("killed");
    };
    await expect(stage.forge.land(landing)).rejects.toThrow("killed");
    expect(await main()).toBe(landing.commit);
    expect(stage.forge.change(1)!.state).toBe("open");
    await stage.close();
    // Whoever moves the branch on meanwhile does not undo it.
    const gitDir = join(stage.repositories, "app.git");
    const later = await run(gitDir, [
      "commit-tree",
      "-p",
      landing.commit,
      "-m",
      "Later",
      `${landing.commit}^{tree}`,
    ]);
    await run(gitDir, ["update-ref", "refs/heads/main", later.text.trim()]);
    stage.onEvents = () => {};
    await stage.open();
    expect(stage.told()).toEqual(LANDED);
    expect(stage.forge.change(1)!.mergedCommit).toBe(landing.commit);
    expect(await main()).toBe(later.text.trim());
  });

  test("is refused after a crash when the branch went elsewhere", async () => {
    const landing = await change("One", "a");
    stage.onEvents = () => {
      throw new Error("killed");
    };
    await expect(stage.forge.land(landing)).rejects.toThrow("killed");
    await stage.close();
    await run(join(stage.repositories, "app.git"), ["update-ref", "refs/heads/main", landing.base]);
    const other = await run(join(stage.repositories, "app.git"), [
      "commit-tree",
      "-p",
      landing.base,
      "-m",
      "Other",
      `${landing.base}^{tree}`,
    ]);
    await run(join(stage.repositories, "app.git"), ["update-ref", "refs/heads/main", other.text.trim()]);
    stage.onEvents = () => {};
    await stage.open();
    expect(stage.forge.change(1)!.state).toBe("open");
    expect((await stage.forge.land(landing)).refused).toContain("refs/heads/main is at");
    expect(await main()).toBe(other.text.trim());
  });

  test("is not stopped by the lock of a git that was killed", async () => {
    const landing = await change("One", "a");
    const lock = join(stage.repositories, "app.git/refs/heads/main.lock");
    writeFileSync(lock, "");
    utimesSync(lock, 0, 0);
    expect(await stage.forge.land(landing)).toEqual({ refused: null });
    expect(await main()).toBe(landing.commit);
  });

  test("is refused, and the forge goes on, when the repository has vanished", async () => {
    await stage.forge.createProject("other");
    const landing = await change("One", "a");
    const clone = await stage.clone("app", "alice");
    await clone.commit("Two", { b: "1" });
    renameSync(join(stage.repositories, "app.git"), join(stage.folder, "away.git"));
    expect(await stage.forge.land(landing)).toEqual({ refused: "the repository of app cannot be read" });
    await expect(stage.forge.branches("app")).rejects.toThrow("PROJECT_UNREADABLE");
    await expect(stage.forge.diff(1)).rejects.toThrow("GIT_FAILED");
    const said = await clone.push("refs/for/main");
    expect(said.code).not.toBe(0);
    expect(said.text).toContain("503");
    await stage.close();
    await stage.open();
    expect(stage.logged).toContainEqual({ code: "PROJECT_UNREADABLE", project: "app" });
    expect((await stage.clone("other", "alice")).user).toBe("alice");
    renameSync(join(stage.folder, "away.git"), join(stage.repositories, "app.git"));
    expect(await stage.forge.land({ ...landing, key: "2" })).toEqual({ refused: null });
  });

  test("of what is needed is told to those that need it", async () => {
    const one = await change("One", "a");
    const clone = await stage.clone("app", "bob");
    await clone.commit(
      "Two\n\nDepends-On: gate:app/1\nDepends-On: gate:elsewhere/1\nDepends-On: gate:app/2",
      { b: "1" },
    );
    await clone.push("refs/for/main");
    expect(stage.told().at(-2)).toBe(
      "local:2,1 open needs local:1 change 1 is of project app, not of elsewhere a change cannot need itself",
    );
    await stage.forge.land(one);
    expect(stage.told()).toEqual([
      "local:1,1 merged",
      "local:2,1 open needs change 1 is of project app, not of elsewhere a change cannot need itself",
      "change-merged local:1",
      "ref-updated app refs/heads/main",
    ]);
  });

  test.each([
    ["its changes are closed", (kind: string) => kind === "change", "PUSH_UNFINISHED", ["local:1,1 merged"]],
    [
      "it is told",
      () => true,
      "PUSH_FAILED",
      ["moved app main", "ref-updated app refs/heads/main", "local:1,1 merged"],
    ],
  ])(
    "an operator's push that comes to its end before %s merges them with the next start",
    async (_, isTooMuch, code, left) => {
      await change("One", "a");
      const root = await stage.clone("app", "root");
      await root.ok("fetch", "-q", "origin", "refs/changes/1/1");
      const head = (await root.ok("rev-parse", "FETCH_HEAD")).trim();
      stage.onEvents = (events) => {
        if (events.some(({ kind }) => isTooMuch(kind))) throw new Error("killed");
      };
      await root.git("push", "origin", "FETCH_HEAD:refs/heads/main");
      expect(await main()).toBe(head);
      expect(stage.forge.change(1)!.state).toBe("open");
      expect(stage.logged).toContainEqual(expect.objectContaining({ code, project: "app" }));
      stage.onEvents = () => {};
      await stage.close();
      stage.told();
      await stage.open({ directPush: true });
      expect(stage.told()).toEqual(left);
      expect(stage.forge.change(1)).toMatchObject({ state: "merged", mergedCommit: head });
      await stage.close();
      await stage.open({ directPush: true });
      expect(stage.told()).toEqual([]);
    },
  );

  test("an operator's push to a gated branch moves it, and merges the changes that it brings", async () => {
    const landing = await change("One", "a");
    stage.told();
    const root = await stage.clone("app", "root");
    await root.ok("fetch", "-q", "origin", "refs/changes/1/1");
    await root.ok("reset", "-q", "--hard", "FETCH_HEAD");
    await root.commit("Urgent", { u: "1" });
    const said = await root.push("refs/heads/main");
    expect(said.code, said.text).toBe(0);
    expect(stage.told()).toEqual(["moved app main", "ref-updated app refs/heads/main", "local:1,1 merged"]);
    expect(await stage.forge.land(landing)).toEqual({ refused: "change 1 is merged" });
    await root.ok("reset", "-q", "--hard", landing.base);
    expect((await root.push("refs/heads/main", "--force")).code).toBe(0);
    expect(await main()).toBe(landing.base);
    expect((await root.git("push", "origin", "HEAD:refs/heads/new", "HEAD:refs/tags/v1")).code).toBe(0);
    expect((await root.git("push", "origin", ":refs/heads/new", ":refs/tags/v1")).code).toBe(0);
    expect(stage.told()).toEqual([
      "moved app main",
      "ref-updated app refs/heads/main",
      "moved app new",
      "ref-updated app refs/heads/new",
      "ref-updated app refs/tags/v1",
      "moved app new",
      "ref-updated app refs/heads/new",
      "ref-updated app refs/tags/v1",
    ]);
    for (const [ref, why] of [
      ["refs/heads/-x", "begin with '-'"],
      ["refs/heads/a%b", "have a '%'"],
      ["refs/heads/main/x", "git refused"],
    ] as const)
      expect((await root.push(ref)).text).toContain(why);
    expect((await root.git("push", "origin", `${landing.base}^{tree}:refs/heads/tree`)).text).toMatch(
      /commit/,
    );
  });

  test("an approval counts for the revision that it was given to, and not from its owner", async () => {
    const { changeNumber } = await change("One", "a");
    stage.told();
    expect(() => stage.forge.approve(changeNumber, ALICE)).toThrow("NOT_PERMITTED");
    expect(() => stage.forge.approve(changeNumber, BOB, 2)).toThrow("REVISION_UNKNOWN");
    stage.forge.approve(changeNumber, BOB);
    expect(stage.told()).toEqual(["local:1,1 open approved", "approved local:1"]);
    stage.forge.unapprove(changeNumber, BOB);
    expect(stage.told()).toEqual(["local:1,1 open"]);
    stage.forge.approve(changeNumber, BOB);
    stage.forge.unapprove(changeNumber, ROOT);
    stage.forge.approve(changeNumber, BOB, 1);
    const clone = await stage.clone("app", "alice");
    await clone.commit("One again", { a: "2" });
    stage.told();
    await clone.push("refs/for/main%change=1");
    expect(stage.told()).toEqual(["local:1,2 open", "change-created local:1"]);
    expect(stage.forge.change(1)!.approvals).toMatchObject([{ user: "bob", revision: 1 }]);
  });

  test("comments trigger, reports do not, and closed changes take no approval", async () => {
    await change("One", "a");
    stage.told();
    stage.forge.comment(1, BOB, { text: "recheck", file: "a", line: 1 });
    stage.forge.report(1, "check", { text: "Build failed", vote: -1 });
    expect(stage.told()).toEqual(["comment local:1"]);
    expect(stage.forge.change(1)!.comments).toMatchObject([
      { author: "bob", text: "recheck", vote: null, file: "a", line: 1, revision: 1 },
      { author: "check", text: "Build failed", vote: -1, file: null },
    ]);
    expect(() => stage.forge.comment(1, BOB, { text: "x".repeat(64 * 1024 + 1) })).toThrow("maxCommentBytes");
    expect(() => stage.forge.abandon(1, BOB)).toThrow("NOT_PERMITTED");
    stage.forge.abandon(1, ALICE);
    expect(() => stage.forge.approve(1, BOB)).toThrow("CHANGE_CLOSED");
    expect(() => stage.forge.restore(1, BOB)).toThrow("NOT_PERMITTED");
    stage.forge.restore(1, ALICE);
    expect(() => stage.forge.restore(1, ALICE)).toThrow("CHANGE_CLOSED");
    expect(stage.told()).toEqual(["local:1,1 abandoned", "local:1,1 open", "change-created local:1"]);
    expect(() => stage.forge.approve(7, BOB)).toThrow("CHANGE_UNKNOWN");
  });

  test("an event that cannot be taken undoes what caused it", async () => {
    await change("One", "a");
    stage.onEvents = () => {
      throw new Error("no room");
    };
    expect(() => stage.forge.approve(1, BOB)).toThrow("no room");
    expect(stage.forge.change(1)!.record.isApproved).toBe(false);
    const clone = await stage.clone("app", "alice");
    await clone.commit("Two", { b: "1" });
    expect((await clone.push("refs/for/main")).text).toContain("PUSH_FAILED");
    expect(stage.forge.changes()).toHaveLength(1);
    stage.onEvents = () => {};
    expect((await clone.push("refs/for/main")).code).toBe(0);
  });

  test("maintenance packs a repository and keeps every revision", async () => {
    const clone = await stage.clone("app", "alice");
    const first = await clone.commit("One", { a: "1" });
    await clone.push("refs/for/main");
    await clone.amend(undefined, { a: "2" });
    await clone.push("refs/for/main%change=1");
    await stage.forge.maintain();
    expect(stage.logged).toEqual([]);
    await clone.ok("fetch", "-q", "origin", "refs/changes/1/1");
    expect(await clone.ok("rev-parse", "FETCH_HEAD")).toBe(first);
    await clone.commit("Two", { b: "1" });
    expect((await clone.push("refs/for/main")).code).toBe(0);
  });

  test("an import brings branches and tags, and a project's name cannot leave the folder", async () => {
    const source = join(stage.folder, "source");
    mkdirSync(source);
    const git = (...args: string[]) => run(source, args);
    await git("init", "-q", "-b", "trunk");
    await git("commit", "-q", "--allow-empty", "-m", "One");
    await git("tag", "v1");
    await git("branch", "old");
    await stage.forge.createProject("group/imported", { importFrom: source });
    expect([...(await stage.forge.branches("group/imported")).keys()]).toEqual(["old", "trunk"]);
    const clone = await stage.clone("group/imported", "alice");
    expect(await clone.ok("tag")).toBe("v1");
    expect(await clone.ok("branch", "--show-current")).toBe("trunk");
    for (const name of [
      "../x",
      "/x",
      "a/../b",
      ".drover",
      "a.git",
      "a.git/b",
      "-x",
      "a//b",
      "a b",
      "x".repeat(201),
      "a.lock",
      "",
      "a/.",
    ])
      await expect(stage.forge.createProject(name), name).rejects.toThrow("PROJECT_NAME_INVALID");
    await expect(stage.forge.createProject("app")).rejects.toThrow("PROJECT_EXISTS");
    await expect(
      stage.forge.createProject("none", { importFrom: join(stage.folder, "nothing") }),
    ).rejects.toThrow("IMPORT_FAILED");
    await expect(stage.forge.createProject("none", { importFrom: "ext::sh -c true" })).rejects.toThrow(
      "IMPORT_FAILED",
    );
    expect(stage.forge.projects()).toEqual(["app", "group/imported"]);
    await stage.forge.createProject("none");
    await stage.forge.removeProject("none");
    await expect(stage.forge.branches("none")).rejects.toThrow("PROJECT_UNKNOWN");
  });

  test("of a project that is forgotten no change stays open, however many there are", async () => {
    await stage.forge.createProject("many");
    const clone = await stage.clone("many", "alice");
    await clone.commit("One", { a: "1\n" });
    expect((await clone.push("refs/for/main")).code).toBe(0);
    // More than are looked at at a time.
    for (const [table, number, more] of [
      ["forge_changes", "number", "project, branch, owner, state, revision, created_ms, updated_ms"],
      [
        "forge_revisions",
        "change",
        "revision, head, base, title, message, author, author_email, author_ms, pusher, at_ms",
      ],
    ])
      stage.database.db.exec(
        `WITH RECURSIVE copies (at) AS (SELECT 1 UNION ALL SELECT at + 1 FROM copies WHERE at < 1200)
         INSERT INTO ${table} (${number}, ${more}) SELECT 1000 + at, ${more} FROM ${table}, copies
         WHERE ${number} = (SELECT number FROM forge_changes WHERE project = 'many' AND number < 1000)`,
      );
    const open = () => stage.forge.changes({ project: "many", state: "open", limit: 1_000 }).length;
    expect(open()).toBe(1_000);
    await stage.forge.removeProject("many");
    expect(open()).toBe(0);
  });
});
