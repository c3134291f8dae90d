import { spawnSync } from "node:child_process";
import { renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Landing } from "../../src/index.ts";
import { run, Stage } from "./stage.ts";

type Part = Omit<Landing, "key">;

const HOUR_MS = 3_600_000;

describe("landing a cycle", () => {
  let stage: Stage;

  beforeEach(async () => {
    stage = await Stage.start({ directPush: true });
    for (const project of ["app", "lib"]) await stage.forge.createProject(project, { branches: ["main"] });
  });
  afterEach(() => stage.end());

  async function change(project: string): Promise<Part> {
    const clone = await stage.clone(project, "alice");
    const base = await clone.head();
    const commit = await clone.commit(`In ${project}`, { file: project });
    const said = await clone.push("refs/for/main");
    expect(said.code, said.text).toBe(0);
    const { number: changeNumber } = stage.forge.changes({ project })[0]!;
    return { project, branch: "main", base, commit, changeNumber, revision: 1 };
  }

  /** Of `app` and `lib`. */
  const tips = async (): Promise<string[]> =>
    Promise.all(["app", "lib"].map(async (name) => (await stage.forge.branches(name)).get("main")!));

  const states = (): string[] => [1, 2].map((number) => stage.forge.change(number)!.state);

  test("moves the branches of all of it, and tells of each change, once", async () => {
    const parts = [await change("app"), await change("lib")];
    stage.told();
    expect(await stage.forge.landTogether("1", parts)).toEqual({ refused: null });
    expect(await tips()).toEqual(parts.map(({ commit }) => commit));
    const told = [
      ...["local:1,1 merged", "local:2,1 merged", "change-merged local:1", "change-merged local:2"],
      ...["ref-updated app refs/heads/main", "ref-updated lib refs/heads/main"],
    ];
    expect(stage.told()).toEqual(told);
    expect(await stage.forge.landTogether("1", parts)).toEqual({ refused: null });
    expect(stage.told()).toEqual([]);
    expect(stage.forge.landed(2)).toEqual({ base: parts[1]!.base, commit: parts[1]!.commit });
  });

  test("lands nothing when one branch is elsewhere, one change is closed, or git refuses one", async () => {
    const parts = [await change("app"), await change("lib")];
    const [app, lib] = parts as [Part, Part];
    const before = await tips();
    stage.told();
    expect((await stage.forge.landTogether("1", [app, { ...lib, base: lib.commit }])).refused).toContain(
      "refs/heads/main of lib is at",
    );
    expect((await stage.forge.landTogether("2", [{ ...app, revision: 2 }, lib])).refused).toBe(
      "change 1 has a newer revision, 1",
    );
    const lock = join(stage.repositories, "lib.git/refs/heads/main.lock");
    writeFileSync(lock, "");
    utimesSync(lock, new Date(), new Date(Date.now() + HOUR_MS));
    expect((await stage.forge.landTogether("3", parts)).refused).toContain("git refused in lib");
    rmSync(lock);
    expect(await tips()).toEqual(before);
    expect(states()).toEqual(["open", "open"]);
    expect(stage.told()).toEqual([]);
    // What was prepared of the others holds no lock.
    expect(await stage.forge.landTogether("4", parts)).toEqual({ refused: null });
    await expect(stage.forge.landTogether("4", [lib, app])).resolves.toEqual({ refused: null });
  });

  test("several changes of one branch land on top of each other", async () => {
    const first = await change("app");
    const clone = await stage.clone("app", "bob");
    await clone.ok("fetch", "-q", "origin", "refs/changes/1/1");
    await clone.ok("reset", "-q", "--hard", "FETCH_HEAD");
    const commit = await clone.commit("On top", { other: "1" });
    await clone.push("refs/for/main");
    const second = { ...first, base: first.commit, commit, changeNumber: 2 };
    stage.told();
    expect(await stage.forge.landTogether("1", [first, second])).toEqual({ refused: null });
    expect((await tips())[0]).toBe(commit);
    expect(stage.told().filter((line) => line.startsWith("ref-updated"))).toHaveLength(1);
  });

  test.each([
    ["wanted", false],
    ["prepared app", false],
    ["prepared lib", false],
    ["decided", true],
    ["committed app", true],
    ["committed lib", true],
    ["told", true],
  ] as const)(
    "killed after it is %s, all of it has landed in the end or nothing: %s",
    { timeout: 60_000 },
    async (step, isDecided) => {
      const parts = [await change("app"), await change("lib")];
      const before = await tips();
      await stage.close();
      const script = join(import.meta.dirname, "dying-landing.ts");
      const died = spawnSync(process.execPath, [script, stage.folder, JSON.stringify(parts), step]);
      expect(died.signal, died.stderr.toString()).toBe("SIGKILL");
      stage.told();
      await stage.open();
      expect(await tips()).toEqual(isDecided ? parts.map(({ commit }) => commit) : before);
      expect(states()).toEqual(isDecided ? ["merged", "merged"] : ["open", "open"]);
      // Whoever started it asks again.
      expect(await stage.forge.landTogether("1", parts)).toEqual({ refused: null });
      expect(await tips()).toEqual(parts.map(({ commit }) => commit));
      expect(states()).toEqual(["merged", "merged"]);
    },
  );

  test("locks that a killed git left are removed by who recovers", async () => {
    const parts = [await change("app"), await change("lib")];
    await stage.close();
    const script = join(import.meta.dirname, "dying-landing.ts");
    spawnSync(process.execPath, [script, stage.folder, JSON.stringify(parts), "committed app"]);
    const lib = join(stage.repositories, "lib.git");
    const lock = join(lib, "refs/heads/main.lock");
    writeFileSync(lock, "");
    utimesSync(lock, 0, 0);
    await stage.open();
    expect(await tips()).toEqual(parts.map(({ commit }) => commit));
  });

  test("what was decided is not taken back while a repository cannot be read, and is finished when it can", async () => {
    const parts = [await change("app"), await change("lib")];
    const commits = parts.map(({ commit }) => commit);
    await stage.close();
    const script = join(import.meta.dirname, "dying-landing.ts");
    spawnSync(process.execPath, [script, stage.folder, JSON.stringify(parts), "committed lib"]);
    const [lib, away] = [join(stage.repositories, "lib.git"), join(stage.folder, "away")];
    renameSync(lib, away);
    await stage.open();
    expect((await stage.forge.branches("app")).get("main")).toBe(commits[0]);
    expect(stage.logged).toContainEqual(expect.objectContaining({ code: "LANDING_UNFINISHED" }));
    await expect(stage.forge.landTogether("1", parts)).rejects.toMatchObject({ code: "LANDING_UNFINISHED" });
    expect(states()).toEqual(["open", "open"]);
    // What is decided is finished, whatever becomes of its changes meanwhile.
    stage.forge.abandon(1, { name: "root", role: "operator" });
    renameSync(away, lib);
    expect(await stage.forge.landTogether("1", parts)).toEqual({ refused: null });
    expect(await tips()).toEqual(commits);
    expect(states()).toEqual(["merged", "merged"]);
  });

  test("what was decided is taken back when somebody moved a branch before it was finished", async () => {
    const parts = [await change("app"), await change("lib")];
    const [app, lib] = parts as [Part, Part];
    await stage.close();
    const script = join(import.meta.dirname, "dying-landing.ts");
    spawnSync(process.execPath, [script, stage.folder, JSON.stringify(parts), "committed app"]);
    const gitDir = join(stage.repositories, "lib.git");
    const other = await run(gitDir, ["commit-tree", "-p", lib.base, "-m", "Other", `${lib.base}^{tree}`]);
    await run(gitDir, ["update-ref", "refs/heads/main", other.text.trim()]);
    await stage.open();
    expect(await tips()).toEqual([app.base, other.text.trim()]);
    expect(states()).toEqual(["open", "open"]);
    expect((await stage.forge.landTogether("1", parts)).refused).toContain("refs/heads/main of lib is at");
  });
});
