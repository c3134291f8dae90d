#!/usr/bin/env node
// Plain JavaScript that any Node can read, so that one that is too old gets a sentence instead of a syntax error.
import { existsSync } from "node:fs";
import module from "node:module";
import { homedir } from "node:os";
import { join } from "node:path";
import { restartWithEngineFlags } from "./engine-flags.js";
import { tooOld } from "./node-version.js";

const complaint = tooOld(process.versions.node);
if (complaint) {
  process.stderr.write(`${complaint}\n`);
  process.exit(1);
}
restartWithEngineFlags();
// Saves half of the time to start. Not in Node's own default folder, which other users may write to.
module.enableCompileCache(join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "drover"));
const source = new URL("../src/main.ts", import.meta.url);
await import(existsSync(source) ? source.href : new URL("../dist/main.js", import.meta.url).href);
