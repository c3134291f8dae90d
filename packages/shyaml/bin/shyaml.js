#!/usr/bin/env node
// Plain JavaScript that any Node can read, so that one that is too old gets a sentence instead of a syntax error.
import { existsSync } from "node:fs";
import module from "node:module";
import { homedir } from "node:os";
import { join } from "node:path";

const NEEDED = 24;
if (Number(process.versions.node.split(".")[0]) < NEEDED) {
  process.stderr.write(
    `shyaml needs Node.js ${NEEDED} or newer, and this is ${process.versions.node}: install a newer one, https://nodejs.org/\n`,
  );
  process.exit(2);
}
// Not in Node's own default folder, which other users may write to.
module.enableCompileCache(join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "drover"));
const source = new URL("../src/main.ts", import.meta.url);
await import(existsSync(source) ? source.href : new URL("../dist/main.js", import.meta.url).href);
