import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Clone, Stage } from "./stage.ts";

const CHANGE_ID = `Change-Id: I${"a".repeat(40)}`;
const LINES = Array.from({ length: 40 }, (_, at) => `line ${at}`);
const text = (edit: Readonly<Record<number, string>> = {}): string =>
  `${LINES.map((line, at) => edit[at] ?? line).join("\n")}\n`;

describe("a new revision of an approved change", () => {
  let stage: Stage;
  let clone: Clone;
  let project = "";
  let projects = 0;
  let number = 0;

  beforeAll(async () => {
    stage = await Stage.start({ keepApprovals: true, isGated: () => false });
  });
  afterAll(() => stage.end());

  /** A project with a file, and a change of its line 30 that bob has approved. */
  beforeEach(async () => {
    project = `app${++projects}`;
    await stage.forge.createProject(project);
    clone = await stage.clone(project, "alice");
    await clone.commit("Begin", { file: text(), "tool.sh": "true\n" });
    expect((await clone.push("refs/heads/main")).code).toBe(0);
    await clone.commit(`Edit\n\n${CHANGE_ID}`, { file: text({ 30: "edited" }) });
    expect((await clone.push("refs/for/main")).code).toBe(0);
    number = stage.forge.changes({ project })[0]!.number;
    stage.forge.approve(number, { name: "bob", role: "user" });
    stage.told();
  });

  /** Something else merges, and the change is put on top of it. */
  async function rebase(files: Record<string, string> = { other: "1\n" }): Promise<void> {
    await clone.ok("checkout", "-q", "-b", "elsewhere", "HEAD~1");
    await clone.commit("Else", files);
    expect((await clone.push("refs/heads/main")).code).toBe(0);
    await clone.ok("checkout", "-q", "-");
    await clone.ok("rebase", "-q", "elsewhere");
    stage.told();
  }

  /** Pushes it again. @returns what was answered */
  async function revise(): Promise<string> {
    const said = await clone.push("refs/for/main");
    expect(said.code).toBe(0);
    expect(stage.forge.change(number)!.revision).toBeGreaterThan(1);
    return said.text;
  }

  const isApproved = (): boolean => stage.forge.record(number)!.isApproved;
  const keptFrom = (): unknown[] =>
    stage.forge.change(number)!.approvals.map(({ user, revision, keptFrom: from }) => [user, revision, from]);

  test("keeps its approval when only the base is another, and the answer and the record say so", async () => {
    await rebase({ other: "1\n", file: text({ 2: "moved by two\nlines" }) });
    const said = await revise();
    expect(said).toContain("only its base is another: what bob approved stays approved");
    expect(said).not.toContain("to approve it:");
    expect(isApproved()).toBe(true);
    expect(keptFrom()).toEqual([
      ["bob", 1, null],
      ["bob", 2, 1],
    ]);
    // Pipelines hear of both: what was under test is another now.
    expect(stage.told()).toEqual([
      `local:${number},2 open approved`,
      `change-created local:${number}`,
      `approved local:${number}`,
    ]);
  });

  test("keeps it from revision to revision, and says which one was looked at", async () => {
    await rebase();
    await revise();
    await rebase2();
    await revise();
    expect(keptFrom().at(-1)).toEqual(["bob", 3, 1]);
  });

  async function rebase2(): Promise<void> {
    await clone.ok("checkout", "-q", "elsewhere");
    await clone.commit("Else again", { another: "1\n" });
    expect((await clone.push("refs/heads/main")).code).toBe(0);
    await clone.ok("checkout", "-q", "-");
    await clone.ok("rebase", "-q", "elsewhere");
  }

  test("one that was withdrawn stays so", async () => {
    stage.forge.unapprove(number, { name: "bob", role: "user" });
    await rebase();
    expect(await revise()).toContain("to approve it:");
    expect(isApproved()).toBe(false);
  });

  const loses: readonly [string, () => Promise<unknown>][] = [
    ["another line", async () => clone.amend(undefined, { file: text({ 30: "edited", 31: "too" }) })],
    ["white space", async () => clone.amend(undefined, { file: text({ 30: "  edited" }) })],
    [
      "the end of its last line",
      async () => clone.amend(undefined, { file: text({ 30: "edited" }).trimEnd() }),
    ],
    ["another file", async () => clone.amend(undefined, { more: "1\n" })],
    ["a binary file", async () => clone.amend(undefined, { more: new Uint8Array([0, 1, 2]) })],
    ["another message", async () => clone.amend(`Edit well\n\n${CHANGE_ID}`)],
    [
      "another author",
      async () => clone.ok("commit", "-q", "--amend", "--no-edit", "--author=Eve <eve@example.org>"),
    ],
    [
      "a file that may be run",
      async () => {
        await clone.ok("update-index", "--chmod=+x", "tool.sh");
        await clone.ok("commit", "-q", "--amend", "--no-edit");
      },
    ],
    [
      "a merge",
      async () => {
        await clone.ok("checkout", "-q", "-b", "side", "HEAD~1");
        await clone.commit("Side", { side: "1\n" });
        await clone.ok("checkout", "-q", "-");
        const made = [
          "commit-tree",
          "HEAD^{tree}",
          "-p",
          "HEAD~1",
          "-p",
          "side",
          "-m",
          `Edit\n\n${CHANGE_ID}`,
        ];
        await clone.ok("reset", "-q", "--hard", await clone.ok(...made));
      },
    ],
  ];
  test.each(loses)("loses it with %s", async (_what, edit) => {
    await rebase();
    await edit();
    expect(await revise()).toContain("to approve it:");
    expect(isApproved()).toBe(false);
    expect(keptFrom()).toEqual([["bob", 1, null]]);
  });

  /** Makes it another change, which bob approves. */
  async function approved(edit: () => Promise<unknown>): Promise<void> {
    await edit();
    await revise();
    stage.forge.approve(number, { name: "bob", role: "user" });
    expect(isApproved()).toBe(true);
  }

  test("loses it when a line differs behind a zero byte, which git takes for text further down", async () => {
    const long = (last: string): string => `${"x\n".repeat(5_000)}good\0${last}\n`;
    await approved(() => clone.amend(undefined, { long: long("as it was seen") }));
    await rebase();
    await clone.amend(undefined, { long: long("something else") });
    await revise();
    expect(isApproved()).toBe(false);
  });

  test("loses it when the same lines are added at another place that looks alike", async () => {
    const blocks = (at: number): string =>
      Array.from(
        { length: 20 },
        (_, block) => `if\n  this\n  that\n${block === at ? "  evil\n" : ""}end\n`,
      ).join("");
    await rebase({ blocks: blocks(-1) });
    await approved(() => clone.amend(undefined, { blocks: blocks(3) }));
    await clone.amend(undefined, { blocks: blocks(12) });
    await revise();
    expect(isApproved()).toBe(false);
  });

  test("loses it when the same binary content is edited", async () => {
    await clone.amend(undefined, { blob: new Uint8Array([0, 1, 2]) });
    await revise();
    stage.forge.approve(number, { name: "bob", role: "user" });
    await clone.amend(undefined, { blob: new Uint8Array([0, 1, 3]) });
    await revise();
    expect(isApproved()).toBe(false);
  });
});

test("unless it is configured, an approval dies with its revision, whatever the new one is", async () => {
  const stage = await Stage.start();
  try {
    await stage.forge.createProject("app");
    const clone = await stage.clone("app", "alice");
    await clone.commit(`One\n\n${CHANGE_ID}`, { a: "1\n" });
    await clone.push("refs/for/main");
    const { number } = stage.forge.changes({ project: "app" })[0]!;
    stage.forge.approve(number, { name: "bob", role: "user" });
    await clone.ok("commit", "-q", "--amend", "--no-edit", "--date=2001-01-01T00:00:00Z");
    expect((await clone.push("refs/for/main")).text).toContain("to approve it:");
    expect(stage.forge.record(number)!.isApproved).toBe(false);
  } finally {
    await stage.end();
  }
});
