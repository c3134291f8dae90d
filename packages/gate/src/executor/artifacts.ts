import { createHash } from "node:crypto";
import { constants, createReadStream } from "node:fs";
import { chmod, chown, copyFile, lstat, mkdir, readdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import type { Artifact } from "./build-request.ts";

export interface ArtifactLimits {
  readonly maxArtifacts: number;
  readonly maxArtifactBytes: number;
}

/** Deepest folder that is looked into, and most entries that are looked at. */
const MAX_DEPTH = 32;
const MAX_ENTRIES = 100_000;

/**
 * Moves the files that a build left to where they are kept, in the order of their names. No process of the build may run any
 * more. Links, pipes and devices stay where they are.
 * @returns What was kept, and a sentence for what was not.
 */
export async function collectArtifacts(
  from: string,
  to: string,
  limits: ArtifactLimits,
): Promise<{ readonly kept: Artifact[]; readonly problems: string[] }> {
  const kept: Artifact[] = [];
  const left = { count: 0, links: 0, looked: 0 };
  let bytes = 0;

  async function collect(folder: string, depth: number): Promise<void> {
    const entries = await readdir(join(from, folder), { withFileTypes: true });
    entries.sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const entry of entries) {
      if (++left.looked > MAX_ENTRIES) return;
      const name = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory() && depth < MAX_DEPTH) await collect(name, depth + 1);
      else if (!entry.isFile()) left.links++;
      else {
        const { size } = await lstat(join(from, name));
        if (kept.length >= limits.maxArtifacts || bytes + size > limits.maxArtifactBytes) {
          left.count++;
          continue;
        }
        await move(join(from, name), join(to, name));
        kept.push({ name, bytes: size, sha256: await digestOf(join(to, name)) });
        bytes += size;
      }
    }
  }

  const facts = await lstat(from).catch(() => undefined);
  if (facts?.isDirectory() === true) await collect("", 0);
  const problems: string[] = [];
  if (left.count > 0)
    problems.push(
      `${left.count} artifacts were not kept: at most ${limits.maxArtifacts} are, of ${limits.maxArtifactBytes} bytes together`,
    );
  if (left.links > 0) problems.push(`${left.links} artifacts were not kept: they are no plain files`);
  if (left.looked > MAX_ENTRIES)
    problems.push(`artifacts were not kept: of ${MAX_ENTRIES} entries on no more are looked at`);
  return { kept, problems };
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}

async function move(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true, mode: 0o700 });
  try {
    await rename(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EXDEV") throw error;
    await copyFile(from, to, constants.COPYFILE_EXCL);
    await rm(from);
  }
  if (process.getuid?.() === 0) await chown(to, 0, 0);
  await chmod(to, 0o600);
}
