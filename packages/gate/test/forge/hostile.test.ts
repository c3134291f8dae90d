import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DEFAULT_FORGE_LIMITS } from "../../src/index.ts";
import { Stage } from "./stage.ts";

describe("what is pushed may be anything", () => {
  let stage: Stage;

  beforeAll(async () => {
    stage = await Stage.start();
    await stage.forge.createProject("app");
  });
  afterAll(() => stage.end());

  const newest = (): number => stage.forge.changes({ project: "app" })[0]!.number;

  test("10,000 files are a change", async () => {
    const clone = await stage.clone("app", "alice");
    for (let n = 0; n < 10_000; n++) {
      if (n % 500 === 0) mkdirSync(join(clone.folder, `d${n / 500}`));
      writeFileSync(join(clone.folder, `d${Math.floor(n / 500)}/f${n}`), "the same\n");
    }
    await clone.commit("Many files");
    const said = await clone.push("refs/for/main");
    expect(said.code, said.text).toBe(0);
    expect(await stage.forge.paths(newest())).toHaveLength(10_000);
    const diff = await stage.forge.diff(newest());
    expect(diff).toMatchObject({ hasMoreFiles: true, isCut: true });
    expect(diff.files).toHaveLength(3_000);
    expect(diff.text.length).toBeLessThanOrEqual(DEFAULT_FORGE_LIMITS.maxDiffBytes);
  });

  test("names that are not UTF-8, binary files, links, modes, renames and empty messages go through unharmed", async () => {
    const clone = await stage.clone("app", "alice");
    await clone.commit("Before", { "old name": "line\n".repeat(50), gone: "1\n" });
    await clone.push("refs/for/main");
    const name = Buffer.from([0x66, 0xff, 0xfe, 0x20, 0x0a, 0x67]);
    writeFileSync(Buffer.concat([Buffer.from(`${clone.folder}/`), name]), "odd\n");
    await clone.ok("mv", "old name", "new name");
    await clone.ok("rm", "-q", "gone");
    await clone.commit("", { binary: randomBytes(5000), ünïcödé: "x\n" });
    const said = await clone.push("refs/for/main");
    expect(said.code, said.text).toBe(0);
    expect(said.text).toContain("is new: (no message)");
    const paths = await stage.forge.paths(newest());
    expect(paths.some((path) => path.equals(name))).toBe(true);
    const { files, text, isCut } = await stage.forge.diff(newest());
    expect(isCut).toBe(false);
    expect(files).toContainEqual({
      path: "new name",
      oldPath: "old name",
      status: "R",
      added: 0,
      removed: 0,
    });
    expect(files).toContainEqual({ path: "binary", oldPath: null, status: "A", added: null, removed: null });
    expect(files).toContainEqual({ path: "gone", oldPath: null, status: "D", added: 0, removed: 1 });
    expect(files).toContainEqual({ path: "ünïcödé", oldPath: null, status: "A", added: 1, removed: 0 });
    expect(text).toContain("Binary files /dev/null and b/binary differ");
  });

  test("a message in another encoding is read, and what a terminal would obey is not shown", async () => {
    const clone = await stage.clone("app", "alice");
    clone.write(
      "message",
      Buffer.from("Gr\xfc\xdfe \x1b[31mred\x1b]0;title\x07\n\nDepends-On: gate:app/1\n", "latin1"),
    );
    await clone.ok("-c", "i18n.commitEncoding=ISO-8859-1", "commit", "-q", "--allow-empty", "-F", "message");
    const said = await clone.push("refs/for/main");
    expect(said.code, said.text).toBe(0);
    expect(said.text).toContain("is new: Grüße ?[31mred?]0;title?");
    expect(said.text).not.toContain("\x1b]0;");
    expect(stage.forge.change(newest())!.record.needs[0]!.source).toBe("gate:app/1");
  });

  test("a message that is too long is refused by its limit", async () => {
    const clone = await stage.clone("app", "alice");
    clone.write("message", `Long\n\n${"x".repeat(99)}\n`.padEnd(70_000, "words and "));
    await clone.ok("commit", "-q", "--allow-empty", "-F", "message");
    expect((await clone.push("refs/for/main")).text).toMatch(
      /bytes of message and header, limit maxMessageBytes 65536/,
    );
  });

  test("an object that git's own check refuses is refused", async () => {
    const clone = await stage.clone("app", "alice");
    const blob = await clone.ok("hash-object", "-w", ".git/HEAD");
    clone.write("tree", Buffer.concat([Buffer.from("100644 .git\0"), Buffer.from(blob, "hex")]));
    const tree = await clone.ok("hash-object", "-t", "tree", "--literally", "-w", "tree");
    const commit = await clone.ok("commit-tree", tree, "-p", "HEAD", "-m", "Evil");
    const said = await clone.git("push", "origin", `${commit}:refs/for/main`);
    expect(said.code).not.toBe(0);
    expect(said.text).toContain("hasDotgit");
  });

  test("two pushes at once are two changes, and the same push twice is one", async () => {
    const [one, two] = [await stage.clone("app", "alice"), await stage.clone("app", "bob")];
    await one.commit("One at once\n\nChange-Id: I1111111111", { o: "1" });
    await two.commit("Two at once", { t: "1" });
    const said = await Promise.all([
      one.push("refs/for/main"),
      two.push("refs/for/main"),
      one.push("refs/for/main"),
    ]);
    expect(said.map(({ code }) => code)).toEqual([0, 0, 0]);
    const titles = stage.forge
      .changes({ project: "app", limit: 2 })
      .map(({ number }) => stage.forge.change(number)!.revisions);
    expect(titles.map((revisions) => revisions.length)).toEqual([1, 1]);
    expect(said.filter(({ text }) => text.includes("No change: this is revision 1"))).toHaveLength(1);
  });

  test("a ref's name that is not UTF-8 is refused", async () => {
    const clone = await stage.clone("app", "root");
    const push = '!git push origin HEAD:refs/heads/$(printf "\\377") HEAD:refs/heads/$(printf "\\303\\274")';
    const said = await clone.git("-c", `alias.odd=${push}`, "odd");
    expect(said.text).toContain("the name is not UTF-8");
    expect([...(await stage.forge.branches("app")).keys()]).toEqual(["main", "ü"]);
  });

  test("nonsense on the hook's socket harms nobody", async () => {
    const path = join(stage.repositories, ".drover/gate.sock");
    for (const bytes of [
      "nonsense",
      "{}\nnonsense",
      "{}\n0001",
      "null\n0000",
      `${"x".repeat(100_000)}\n`,
      '{"directory":"/"}\n000eversion=1\n00000000',
      `{}\n0000${"0009aaaa\n".repeat(5)}0000`,
      Buffer.alloc(5 * 1024 * 1024, "0005a"),
    ]) {
      const socket = net.connect(path);
      socket.on("error", () => {});
      socket.resume();
      socket.end(bytes);
      await new Promise((resolve) => socket.once("close", resolve));
    }
    const clone = await stage.clone("app", "alice");
    await clone.commit("After nonsense", { n: "1" });
    expect((await clone.push("refs/for/main")).code).toBe(0);
  });
});

describe("limits of a push", () => {
  test("each is refused by its name", async () => {
    const stage = await Stage.start({
      limits: {
        maxChangesPerPush: 2,
        maxCommitsPerPush: 4,
        maxFilesPerPush: 3,
        maxPackBytes: 100_000,
        maxRefsPerPush: 2,
        maxDependencies: 1,
        maxRevisions: 1,
        maxOpenChanges: 1,
        maxCommentsPerChange: 1,
      },
    });
    try {
      await stage.forge.createProject("app");
      const clone = await stage.clone("app", "alice");
      const start = await clone.head();
      const refused = async (...refspecs: string[]): Promise<string> => {
        const said = await clone.git("push", "origin", ...refspecs);
        expect(said.code).not.toBe(0);
        await clone.ok("reset", "-q", "--hard", start);
        return said.text;
      };
      for (const letter of ["a", "b", "c"])
        await clone.commit(`${letter}\n\nChange-Id: I${letter.repeat(8)}`);
      expect(await refused("HEAD:refs/for/main")).toContain(
        "the push has 3 changes, limit maxChangesPerPush 2",
      );
      for (const letter of ["a", "b", "c", "d", "e"]) await clone.commit(letter);
      expect(await refused("HEAD:refs/for/main")).toContain("limit maxCommitsPerPush");
      await clone.commit("Files", { a: "1", b: "1", c: "1", d: "1" });
      expect(await refused("HEAD:refs/for/main")).toContain("it changes 4 files, limit maxFilesPerPush 3");
      await clone.commit("Large", { large: randomBytes(200_000) });
      expect(await refused("HEAD:refs/for/main")).toContain("pack exceeds maximum allowed size");
      await clone.commit("Refs");
      expect(await refused("HEAD:refs/for/main", "HEAD:refs/tags/a", "HEAD:refs/tags/b")).toContain(
        "the push has 3 refs, limit maxRefsPerPush 2",
      );
      await clone.commit("Needs\n\nDepends-On: gate:app/1\nDepends-On: gate:app/2");
      expect(await refused("HEAD:refs/for/main")).toContain("2 lines Depends-On, limit maxDependencies 1");

      await clone.commit("One");
      expect((await clone.push("refs/for/main")).code).toBe(0);
      await clone.amend("Again");
      const { number } = stage.forge.changes()[0]!;
      expect(await refused(`HEAD:refs/for/main%change=${number}`)).toContain(
        "has 1 revisions, limit maxRevisions 1",
      );
      await clone.commit("Two");
      expect(await refused("HEAD:refs/for/main")).toContain("too many open changes, limit maxOpenChanges 1");
      const alice = { name: "alice", role: "user" } as const;
      stage.forge.comment(number, alice, { text: "one" });
      expect(() => stage.forge.comment(number, alice, { text: "two" })).toThrow("maxCommentsPerChange 1");
    } finally {
      await stage.end();
    }
  });

  test("of those that wait for their turn, in a folder whose path is too long for a socket", async () => {
    const root = mkdtempSync(join(tmpdir(), "drover-forge-"));
    const folder = join(root, "x".repeat(120));
    const stage = await Stage.start({ folder, limits: { maxWaitingPushes: 0 } });
    try {
      await stage.forge.createProject("app");
      const clone = await stage.clone("app", "alice");
      await clone.commit("One");
      expect((await clone.push("refs/for/main")).code).toBe(0);
      const push = {
        project: "app",
        user: { name: "alice", role: "user" },
        commands: [],
        options: [],
        isAtomic: false,
      } as const;
      const both = await Promise.allSettled([
        stage.forge.receive(push),
        stage.forge.receive(push),
        stage.forge.receive(push),
      ]);
      expect(both.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected"]);
    } finally {
      await stage.end();
      rmSync(root, { recursive: true, force: true });
    }
  });
});
