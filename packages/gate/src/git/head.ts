import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { gitLine } from "./git.ts";

/** The branch that `HEAD` of a repository names. @throws GitError when it names none */
export async function headBranch(gitDir: string): Promise<string> {
  const text = await readFile(join(gitDir, "HEAD"), "utf8").catch(() => "");
  const name = /^ref: refs\/heads\/(\S+)\n?$/.exec(text)?.[1];
  // Where refs are not kept as files, it stands elsewhere.
  if (name !== undefined && name !== ".invalid") return name;
  return (await gitLine(["symbolic-ref", "HEAD"], { gitDir })).replace(/^refs\/heads\//, "");
}
