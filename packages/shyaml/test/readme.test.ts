import { readFileSync, writeFileSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { run } from "./running.ts";

const FILE = resolve(import.meta.dirname, "../README.md");
const FOLDER = resolve(import.meta.dirname, "readme");
const BIN = resolve(import.meta.dirname, "../../../node_modules/.bin");

/** What each block of the page shows, with the output that its commands have now. */
async function rerun(page: string): Promise<string> {
  let text = page;
  for (const [block, fence, body] of page.matchAll(/^(`{3,})console\n([\s\S]*?)^\1\n/gm)) {
    let fresh = `${fence}console\n`;
    for (const [line, command] of body!.matchAll(/^\$ (.*)\n/gm)) {
      const env = { PATH: `${BIN}${delimiter}${process.env.PATH}`, NO_COLOR: "1" };
      const { out } = await run("bash", ["-c", `{ ${command}; } 2>&1`], { cwd: FOLDER, env });
      fresh += `${line}${out}`;
    }
    text = text.replace(block, () => `${fresh}${fence}\n`);
  }
  return text;
}

describe("the README", () => {
  test("shows what its commands print", async () => {
    const page = readFileSync(FILE, "utf8");
    const fresh = await rerun(page);
    // `WRITE_README=1` brings the page up to date.
    if (process.env.WRITE_README === "1") writeFileSync(FILE, fresh);
    expect(page.match(/```console/g)!.length).toBeGreaterThanOrEqual(10);
    expect(fresh).toBe(page);
  });

  test("has a program that works", async () => {
    const program = /```ts\n([\s\S]*?)```/.exec(readFileSync(FILE, "utf8"))![1]!;
    const args = ["--input-type=module-typescript", "--eval", program];
    const { out, err, code } = await run(process.execPath, args, { cwd: join(FOLDER, "..") });
    expect({ out, err, code }).toEqual({
      out: "old  old:1 → new:1\n  a[0]  removed  -1\n    - 1\n\n1 difference in 1 of 1 document\n\n",
      err: "",
      code: 0,
    });
  });
});
