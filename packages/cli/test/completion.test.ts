import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { bashScript, fishScript, zshScript } from "../src/completion/scripts.ts";
import { droverProgram } from "../src/program.ts";

/** What bash offers for a command line cut at its end. */
function offered(...typed: string[]): string[] {
  const line = typed.map((word) => `'${word}'`).join(" ");
  const script = `${bashScript(droverProgram())}
COMP_WORDS=(${line}); COMP_CWORD=${typed.length - 1}; _drover; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, status } = spawnSync("bash", ["-c", script], { encoding: "utf8" });
  expect(status).toBe(0);
  return stdout.trim().split("\n");
}

describe("completion", () => {
  test("commands are offered after the program, and their own commands after them", () => {
    expect(offered("drover", "se")).toEqual(["serve"]);
    expect(offered("drover", "demo", "h")).toEqual(["herd"]);
  });

  test("options are those of the command that was typed", () => {
    expect(offered("drover", "demo", "herd", "--cl")).toEqual(["--clients"]);
    expect(offered("drover", "serve", "--job-r")).toEqual(["--job-retries"]);
  });

  test("the scripts of all shells name every command", () => {
    const program = droverProgram();
    for (const script of [bashScript(program), zshScript(program), fishScript(program)]) {
      for (const command of program.commands) expect(script).toContain(command.name());
    }
  });
});
