import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import * as z from "zod";
import { DATABASE_FILE, GATE_FILE, GateError, REPOSITORIES } from "./gate.ts";
import { git, gitLine } from "./git/git.ts";
import { gitVersion } from "./git/version.ts";
import { KEYS } from "./secrets/keys.ts";

/*
 * A gate in another folder: its database, its tenant file, its keys, and each repository as a bundle of git's. Logs and artifacts
 * are not in it.
 */

/** Written last: a folder without it is no backup. */
const MANIFEST_FILE = "backup.json";
/** Of one repository. */
const GIT_TIMEOUT_MS = 3_600_000;

const manifestSchema = z.object({
  version: z.literal(1),
  atMs: z.number(),
  projects: z.array(z.object({ name: z.string(), head: z.string() })),
});

/** What a backup holds. */
export type BackupManifest = z.output<typeof manifestSchema>;

/**
 * Copies a gate, which may run meanwhile.
 * @param to A folder that is empty or is not there; it is there only when it is whole.
 * @throws GateError `GATE_FOLDER_INVALID`; GitError, and what SQLite and the system throw
 */
export async function backupGate(folder: string, to: string): Promise<BackupManifest> {
  await gitVersion();
  if (!existsSync(join(folder, GATE_FILE)))
    throw new GateError("GATE_FOLDER_INVALID", `${folder} holds no ${GATE_FILE}`);
  refuseFull(to);
  const making = `${to}.new`;
  rmSync(making, { recursive: true, force: true });
  mkdirSync(making, { recursive: true, mode: 0o700 });
  const atMs = Date.now();
  // First the database: whatever that speaks of has been in the repositories for longer. What they have besides does no harm.
  const names = copyDatabase(join(folder, DATABASE_FILE), join(making, DATABASE_FILE));
  copyFileSync(join(folder, GATE_FILE), join(making, GATE_FILE));
  const projects: { name: string; head: string }[] = [];
  for (const name of names) {
    const gitDir = join(folder, REPOSITORIES, `${name}.git`);
    const bundle = bundleOf(making, name);
    mkdirSync(dirname(bundle), { recursive: true });
    await git(["bundle", "create", "--quiet", bundle, "--all"], { gitDir, timeoutMs: GIT_TIMEOUT_MS });
    projects.push({ name, head: await gitLine(["symbolic-ref", "HEAD"], { gitDir }) });
  }
  if (existsSync(join(folder, KEYS))) copyKeys(join(folder, KEYS), join(making, KEYS));
  const manifest = { version: 1 as const, atMs, projects };
  writeFileSync(join(making, MANIFEST_FILE), JSON.stringify(manifest));
  renameSync(making, to);
  return manifest;
}

/**
 * Makes the folder of a gate from a backup.
 * @param folder One that is empty or is not there.
 * @throws GateError `GATE_FOLDER_INVALID`; GitError, and what SQLite and the system throw
 */
export async function restoreGate(from: string, folder: string): Promise<BackupManifest> {
  await gitVersion();
  const manifest = readManifest(from);
  refuseFull(folder);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const { name, head } of manifest.projects) {
    const gitDir = join(folder, REPOSITORIES, `${name}.git`);
    mkdirSync(dirname(gitDir), { recursive: true, mode: 0o700 });
    await git(["init", "--quiet", "--bare", "--template=", gitDir]);
    const words = [
      "fetch",
      "--quiet",
      "--no-auto-gc",
      "--no-write-fetch-head",
      bundleOf(from, name),
      "+refs/*:refs/*",
    ];
    await git(words, { gitDir, timeoutMs: GIT_TIMEOUT_MS });
    await git(["symbolic-ref", "HEAD", head], { gitDir });
  }
  const path = join(folder, DATABASE_FILE);
  copyFileSync(join(from, DATABASE_FILE), path);
  const db = new DatabaseSync(path);
  try {
    // Builds that were under way are asked for anew: where repositories are is a part of what was asked for.
    db.exec("PRAGMA journal_mode = WAL; DELETE FROM gate_builds WHERE ended_ms IS NULL");
  } finally {
    db.close();
  }
  // Backups of before there were keys have none.
  if (existsSync(join(from, KEYS))) copyKeys(join(from, KEYS), join(folder, KEYS));
  // Last: a folder without it is no gate.
  copyFileSync(join(from, GATE_FILE), join(folder, GATE_FILE));
  return manifest;
}

function copyKeys(from: string, to: string): void {
  mkdirSync(to, { mode: 0o700 });
  for (const name of readdirSync(from)) {
    if (name.endsWith(".new")) continue;
    copyFileSync(join(from, name), join(to, name));
    chmodSync(join(to, name), 0o600);
  }
}

function bundleOf(folder: string, project: string): string {
  return join(folder, REPOSITORIES, `${project}.bundle`);
}

/** @returns the projects that it speaks of. */
function copyDatabase(from: string, to: string): string[] {
  const db = new DatabaseSync(from, { timeout: 10_000 });
  try {
    db.prepare("VACUUM INTO ?").run(to);
  } finally {
    db.close();
  }
  const copy = new DatabaseSync(to, { readOnly: true });
  try {
    const rows = copy.prepare("SELECT name FROM forge_projects WHERE state = 'whole' ORDER BY name").all();
    return (rows as { name: string }[]).map(({ name }) => name);
  } finally {
    copy.close();
  }
}

/** @throws GateError `GATE_FOLDER_INVALID` */
function readManifest(from: string): BackupManifest {
  const path = join(from, MANIFEST_FILE);
  if (!existsSync(path))
    throw new GateError("GATE_FOLDER_INVALID", `${from} is no backup of a gate: it has no ${MANIFEST_FILE}`);
  const { success, data } = manifestSchema.safeParse(JSON.parse(readFileSync(path, "utf8")));
  if (!success) throw new GateError("GATE_FOLDER_INVALID", `${path} is of another version of Drover`);
  return data;
}

/** @throws GateError `GATE_FOLDER_INVALID` */
function refuseFull(folder: string): void {
  if (existsSync(folder) && readdirSync(folder).length > 0)
    throw new GateError("GATE_FOLDER_INVALID", `${folder} is not empty`);
}
