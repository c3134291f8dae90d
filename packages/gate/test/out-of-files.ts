import { closeSync, openSync } from "node:fs";
import { Readable } from "node:stream";
import { git } from "../src/git/git.ts";
import { ObjectReader } from "../src/git/objects.ts";
import { takePack } from "../src/git/packs.ts";

/* A process of its own that may open few files, and opens them all: `node out-of-files.ts REPOSITORY`. */

const [gitDir] = process.argv.slice(2) as [string];
const reader = new ObjectReader(gitDir, 10_000);
const open: number[] = [];
try {
  for (;;) open.push(openSync("/dev/null", "r"));
} catch {
  // Now there is none left.
}
const pack = () => Readable.from([Buffer.from("PACK\0\0\0\x02\0\0\0\0")]);
const failures = await Promise.allSettled([
  git(["version"]),
  reader.info("0".repeat(40)),
  takePack(gitDir, pack(), 1_000),
]);
for (const descriptor of open) closeSync(descriptor);
const later = await Promise.allSettled([git(["version"]), reader.info("0".repeat(40))]);
reader.close();
process.stdout.write(JSON.stringify([failures, later].map((all) => all.map(({ status }) => status))));
