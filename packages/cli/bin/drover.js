#!/usr/bin/env node
// Plain JavaScript that any Node can read, so that one that is too old gets a sentence instead of a syntax error.
import { existsSync } from "node:fs";
import { tooOld } from "./node-version.js";

const complaint = tooOld(process.versions.node);
if (complaint) {
  process.stderr.write(`${complaint}\n`);
  process.exit(1);
}
const source = new URL("../src/main.ts", import.meta.url);
await import(existsSync(source) ? source.href : new URL("../dist/main.js", import.meta.url).href);
