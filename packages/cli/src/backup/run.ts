import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  backupStore,
  importGearmandSqlite,
  type Progress,
  restoreStore,
  StoreError,
  verifyBackup,
} from "@drover/server";
import { resolveConfig } from "../config/resolve.ts";
import { CommandFailed, UsageError } from "../errors.ts";
import { serveInputs } from "../serve/flags.ts";
import { ProgressBar } from "../terminal/progress.ts";

export interface BackupFlags {
  readonly store?: string;
  readonly serverName?: string;
  readonly config?: string;
}

/** @throws UsageError when no store is named. */
function storeOf(flags: BackupFlags): { store: string; server: string | undefined } {
  const { server } = resolveConfig(serveInputs({ ...flags }));
  if (server.store === undefined || server.store === "memory") {
    throw new UsageError(
      "OPTION_INVALID",
      "name the store: --store sqlite:FILE or postgres://USER@HOST/DATABASE",
    );
  }
  return { store: server.store, server: server.serverName };
}

async function withBar<T>(what: string, action: (progress: Progress) => Promise<T>): Promise<T> {
  const bar = new ProgressBar(process.stderr, what);
  try {
    return await action((done, of) => bar.show(done, of));
  } finally {
    bar.end();
  }
}

export async function backup(file: string, flags: BackupFlags): Promise<void> {
  const from = storeOf(flags);
  const rows = await withBar("backup", (progress) => backupStore(from, file, progress));
  process.stdout.write(`${file}: ${rows} jobs\n`);
}

export async function restore(file: string, flags: BackupFlags): Promise<void> {
  const to = storeOf(flags);
  const rows = await withBar("restore", (progress) => restoreStore(file, to, progress));
  process.stdout.write(`${rows} jobs restored\n`);
}

export async function verify(file: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "drover-verify-"));
  try {
    const scratch = join(folder, "scratch.db");
    const found = await withBar("verify", (progress) => verifyBackup(file, scratch, progress));
    process.stdout.write(`${file}: whole; ${found.jobs} jobs, ${found.deadLetters} dead letters\n`);
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== "STORE_DAMAGED") throw error;
    throw new CommandFailed("STORE_DAMAGED", error.detail);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export async function importGearmand(
  file: string,
  flags: BackupFlags & { readonly table: string },
): Promise<void> {
  const to = storeOf(flags);
  const rows = await withBar("import", (progress) => importGearmandSqlite(file, to, flags.table, progress));
  process.stdout.write(`${rows} jobs imported\n`);
}
