import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { expect, onTestFinished } from "vitest";
import { freePort } from "../peers/ports.ts";

const ROOT = resolve(import.meta.dirname, "../..");

interface Step {
  readonly commands: string;
  /** `null`: the tutorial does not say. */
  readonly printed: string | null;
}

function stepsOf(page: string): Step[] {
  return [...page.matchAll(/^```sh\n([\s\S]*?)^```\n(?:\n```\n([\s\S]*?)^```\n)?/gm)].map(
    ([, commands, printed]) => ({ commands: commands!, printed: printed ?? null }),
  );
}

/** What differs between two runs is made the same: ids, times, tokens, how wide a column is. */
function without(text: string): string {
  return text
    .replace(/\b(?=[0-9a-f]*\d)[0-9a-f]{7,40}\b/g, "ID")
    .replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, "TIME")
    .replace(/\d+(?:\.\d+)? m?s\b/g, "SPAN")
    .replace(/\d of \d+ slots/g, "SLOTS")
    .replace(/[ \t]+/g, " ")
    .replace(/ ?$/gm, "")
    .trim();
}

/** A line `...` stands for any lines. */
function patternOf(printed: string): RegExp {
  const lines = without(printed)
    .split("\n")
    .map((line) => (line === "..." ? "(?:.*\n)*?" : `${line.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")}\n`));
  return new RegExp(`^${lines.join("")}$`);
}

/** Runs every command of a page, in one shell, in an empty folder, and compares what it says is printed. */
export async function runPage(page: string, minSteps: number, env: Readonly<Record<string, string>> = {}) {
  const folder = mkdtempSync(join(tmpdir(), "drover-tutorial-"));
  const [port, http] = [await freePort(), await freePort()];
  const steps = stepsOf(readFileSync(join(ROOT, page), "utf8"));
  const here = (text: string): string => text.replaceAll("localhost:4780", `localhost:${http}`);
  const commands = steps.map((step, i) => `${here(step.commands)}printf '\\n=== %d after ${i}\\n' $?\n`);
  const script = join(folder, "tutorial.sh");
  writeFileSync(script, `exec 2>&1\n${commands.join("")}`);
  mkdirSync(join(folder, "empty"));
  const child = spawn("bash", [script], {
    cwd: join(folder, "empty"),
    detached: true,
    stdio: ["ignore", "pipe", "inherit"],
    env: {
      PATH: `${join(ROOT, "node_modules/.bin")}:${process.env.PATH}`,
      HOME: folder,
      LANG: "C.UTF-8",
      DROVER_PORT: String(port),
      DROVER_HTTP: `localhost:${http}`,
      DROVER_GATE: `http://localhost:${http}`,
      GIT_AUTHOR_NAME: "Ann",
      GIT_AUTHOR_EMAIL: "ann@example.org",
      GIT_COMMITTER_NAME: "Ann",
      GIT_COMMITTER_EMAIL: "ann@example.org",
      GIT_TERMINAL_PROMPT: "0",
      ...env,
    },
  });
  onTestFinished(async () => {
    try {
      process.kill(-child.pid!, "SIGKILL");
    } catch {
      // All of it has ended.
    }
    rmSync(folder, { recursive: true, force: true });
  });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  await once(child, "close");

  const printed = output.split(/\n=== \d+ after \d+\n/);
  const codes = [...output.matchAll(/\n=== (\d+) after \d+\n/g)].map(([, code]) => Number(code));
  expect(steps.length).toBeGreaterThanOrEqual(minSteps);
  for (const [i, step] of steps.entries()) {
    if (step.printed !== null)
      expect.soft(`${without(printed[i] ?? "")}\n`, step.commands).toMatch(patternOf(here(step.printed)));
  }
  expect(codes).toEqual(steps.map(() => 0));
}
