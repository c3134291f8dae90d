import { spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import type { AutoholdView, BuildView } from "@drover/gate/api";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { describeWith } from "../peers/needs.ts";
import { until } from "../peers/until.ts";
import { SeparateGate } from "./separate-gate.ts";

/* The workspace of a build that failed on an executor elsewhere is held there. */

const DROVER = resolve(import.meta.dirname, "../../packages/cli/bin/drover.js");
const DEADLINE_MS = 60_000;
const CONFIG = `
- job:
    name: unit
    command: [sh, -c, "echo left > found; test ! -e bad"]
- project:
    gate:
      jobs: [unit]
`;

describeWith(["bubblewrap"], "a workspace that an executor elsewhere holds", () => {
  const gate = new SeparateGate();
  beforeAll(async () => {
    await gate.start();
    await gate.addProject("app", { "zuul.yaml": CONFIG });
  }, 180_000);
  afterAll(() => gate[Symbol.asyncDispose](), 60_000);

  const drover = (...words: string[]) => gate.drover("gate", ...words, "--server", gate.url);
  const list = async () => JSON.parse(await drover("autohold-list", "--json")) as AutoholdView[];
  const folder = join(gate.folder, "executor-1");
  const heldShell = (build: string, dir: string) => [
    ...[process.execPath, DROVER, "gate", "held-shell", build],
    ...["--dir", dir, "--server", gate.url],
  ];
  const shell = (build: string, dir: string, input: string) => {
    const [program, ...words] = heldShell(build, dir);
    return spawnSync(program!, words, { input, encoding: "utf8", env: gate.environment() });
  };

  test("is listed with its place, where a shell opens it; it outlives both, and goes when it is taken back", async () => {
    await drover("autohold", "--project", "app", "--job", "unit", "--reason", "it fails there only");
    const change = await gate.propose("app", { bad: "" });
    const held = await until("it is held", DEADLINE_MS, async () => (await list())[0]?.held[0]);
    const [build] = await gate.get<BuildView[]>(`/builds?change=${change}`);
    expect(held).toMatchObject({ build: build!.id, executor: "executor-1" });
    expect(await gate.get<string>(`/builds/${held.build}/log`)).toContain("the workspace is kept until");

    const lost = shell(held.build, join(gate.folder, "state"), "");
    expect(lost.status).toBe(1);
    expect(lost.stderr).toContain("it is held by executor executor-1: on its machine");
    for (const name of [held.build, held.execution]) {
      const found = shell(name, folder, "cat found; ls bad; exit 4\n");
      expect([found.stdout, found.status]).toEqual(["left\nbad\n", 4]);
    }

    // At a terminal, as somebody who types: what interrupts a command leaves the shell.
    const command = heldShell(held.execution, folder).join(" ");
    const terminal = spawn("script", ["-qec", command, "/dev/null"], { env: gate.environment() });
    onTestFinished(() => void terminal.kill());
    let shown = "";
    terminal.stdout.setEncoding("utf8").on("data", (text: string) => {
      shown += text;
    });
    terminal.stdin.write(`tty; sh -c 'echo be""gun; sleep 1000'\n`);
    await until("a command runs", DEADLINE_MS, () => shown.includes("begun"));
    terminal.stdin.write("\x03");
    await until("it is interrupted", DEADLINE_MS, () => shown.includes("^C"));
    terminal.stdin.write("cat found; exit 5\n");
    await until("the shell ends", DEADLINE_MS, () => terminal.exitCode !== null);
    expect(terminal.exitCode, shown).toBe(5);
    expect(shown).toMatch(/^\/dev\/pts\/\d+\r?$/m);
    expect(shown).toMatch(/^left\r?$/m);

    await gate.kill("executor 1");
    await gate.kill("gate");
    await gate.run("gate");
    await gate.run("executor 1");
    expect((await list())[0]!.held).toEqual([held]);
    expect(shell(held.execution, folder, "git status --porcelain\n").stdout).toBe("?? found\n");

    await drover("autohold-delete", "1");
    await until("nothing of it is left", DEADLINE_MS, () =>
      ["work", "executions"].every((name) => readdirSync(join(folder, name)).length === 0),
    );
  }, 180_000);

  test("goes by itself when its time has come, whether the gate is there or not", async () => {
    await drover("autohold", "--project", "app", "--job", "unit", "--reason", "a moment", "--hold", "4s");
    await gate.propose("app", { bad: "again" });
    const { execution } = await until("it is held", DEADLINE_MS, async () => (await list())[0]?.held[0]);
    await gate.kill("gate");
    await until("it is gone", DEADLINE_MS, () => !existsSync(join(folder, "work", execution)));
    await gate.run("gate");
    await until("it is no longer listed", DEADLINE_MS, async () => (await list()).length === 0);
  }, 180_000);
});
