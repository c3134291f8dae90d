import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { runShyaml } from "../src/cli/program.ts";
import type { Ran } from "./running.ts";

/*
 * Runs command lines one after the other in one process, since a process for each of a thousand takes minutes. All else is as
 * users have it: the words, the standard input at its own descriptor, both outputs and the exit code.
 *
 *   node many-commands.ts COMMANDS.json ANSWERS.json
 */

export interface CommandLine {
  readonly args: readonly string[];
  /** A file that is the standard input; without it there is none. */
  readonly input?: string;
}

const [commands, answers] = process.argv.slice(2);
const lines = JSON.parse(readFileSync(commands!, "utf8")) as CommandLine[];
const results: Ran[] = [];
for (const { args, input } of lines) {
  closeSync(0);
  // The lowest descriptor that is free is the one that is given: 0.
  openSync(input ?? "/dev/null", "r");
  let [out, err] = ["", ""];
  process.stdout.write = (text: string | Uint8Array) => {
    out += text;
    return true;
  };
  process.stderr.write = (text: string | Uint8Array) => {
    err += text;
    return true;
  };
  const code = await runShyaml(args);
  results.push({ code, out, err });
}
process.exitCode = 0;
writeFileSync(answers!, JSON.stringify(results));
