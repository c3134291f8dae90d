import { chmodSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/*
 * Git starts `proc-receive` for every push. All that the hook does is to carry bytes between git and the gate, which is
 * another process: git's to the gate's socket, and from there lines, `o` for git and `e` for the one who pushed, each with its
 * bytes in base64, and `.` at the end. Plain JavaScript, since it starts faster than what has to be stripped of types.
 */
const PROGRAM = `"use strict";
// Written by Drover at each start.
const { connect } = require("node:net");
const { env, stdin, stdout, stderr } = process;
const gate = connect(process.argv[2]);
let rest = "";
let isWhole = false;
gate.setEncoding("latin1");
gate.once("connect", () => {
  gate.write(JSON.stringify({ directory: process.cwd(), grant: env.DROVER_PUSH, token: env.DROVER_TOKEN }) + "\\n");
  stdin.pipe(gate);
});
gate.on("data", (text) => {
  const lines = (rest + text).split("\\n");
  rest = lines.pop();
  for (const line of lines) {
    const bytes = Buffer.from(line.slice(1), "base64");
    if (line[0] === "o") stdout.write(bytes);
    else if (line[0] === "e") stderr.write(bytes);
    else isWhole = true;
  }
  if (!isWhole) return;
  stdin.destroy();
  gate.end();
});
gate.on("error", () => {});
gate.on("close", () => {
  stdin.destroy();
  if (isWhole) return;
  process.exitCode = 1;
  stderr.write(
    "The gate of this repository does not answer, so nothing was taken.\\n" +
      "Start it (drover gate up), and push again.\\n",
  );
});
`;

/**
 * Writes the hook for every repository of a folder.
 * @param own Folder of the gate's own files; its `hooks` is there.
 */
export function installHook(own: string, socket: string): void {
  const program = join(own, "hook.cjs");
  replace(program, PROGRAM, 0o644);
  const words = [process.execPath, program, socket].map((word) => `'${word.replaceAll("'", "'\\''")}'`);
  replace(join(own, "hooks", "proc-receive"), `#!/bin/sh\nexec ${words.join(" ")}\n`, 0o755);
}

function replace(path: string, text: string, mode: number): void {
  writeFileSync(`${path}.new`, text, { mode });
  chmodSync(`${path}.new`, mode);
  renameSync(`${path}.new`, path);
}
