import { existsSync, renameSync, rmSync } from "node:fs";
import { resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { openStore, sqliteFile } from "./open.ts";
import { openSnapshot, type Snapshot } from "./snapshot.ts";
import { SqliteStore } from "./sqlite.ts";
import { failure } from "./sqlite-rows.ts";
import { NO_CHANGES, type Store, StoreError } from "./store.ts";

/** How far a copy is. */
export type Progress = (done: number, of: number) => void;

/**
 * Writes what a store holds at this moment to a file, while its server goes on. The file is there when it is whole, and is
 * a store itself.
 * @returns the number of jobs and dead letters.
 * @throws StoreError
 */
export async function backupStore(
  from: { readonly store: string; readonly server?: string | undefined },
  file: string,
  progress: Progress = () => {},
): Promise<number> {
  if (existsSync(file)) throw new StoreError("STORE_IN_USE", `${resolve(file)} is there already`);
  const snapshot = await openSnapshot(from.store, from.server);
  try {
    await writeNew(file, snapshot, progress);
    return snapshot.count;
  } finally {
    await snapshot.close();
  }
}

/**
 * Puts the jobs of a backup into a store that has none.
 * @returns how many.
 * @throws StoreError
 */
export async function restoreStore(
  file: string,
  to: { readonly store: string; readonly server?: string | undefined },
  progress: Progress = () => {},
): Promise<number> {
  const snapshot = await openSnapshot(`sqlite:${file}`);
  try {
    const target = sqliteFile(to.store);
    // A file that is only half restored must not be taken for a whole one.
    if (target !== undefined && !existsSync(target)) await writeNew(target, snapshot, progress);
    else await fill(await openStore(to.store, to.server), snapshot, progress);
    return snapshot.count;
  } finally {
    await snapshot.close();
  }
}

/** What was found in a backup. */
export interface Verified {
  readonly jobs: number;
  readonly deadLetters: number;
}

/**
 * Restores a backup into a scratch store and looks whether everything is there.
 * @param scratch A file for that, which is removed at the end.
 * @throws StoreError `STORE_DAMAGED`
 */
export async function verifyBackup(
  file: string,
  scratch: string,
  progress: Progress = () => {},
): Promise<Verified> {
  checkIntegrity(file);
  const snapshot = await openSnapshot(`sqlite:${file}`);
  try {
    await writeNew(scratch, snapshot, progress);
    const copy = await SqliteStore.open(scratch);
    let jobs = 0;
    let deadLetters = 0;
    try {
      for await (const rows of copy.load()) {
        for (const { reason } of rows) {
          if (reason === "") jobs++;
          else deadLetters++;
        }
      }
    } finally {
      await copy.close();
    }
    if (jobs + deadLetters !== snapshot.count) {
      throw new StoreError(
        "STORE_DAMAGED",
        `${file}: ${snapshot.count} jobs, of which ${jobs + deadLetters} came back`,
      );
    }
    return { jobs, deadLetters };
  } finally {
    await snapshot.close();
    removeStore(scratch);
  }
}

function checkIntegrity(file: string): void {
  if (!existsSync(file)) throw new StoreError("STORE_UNAVAILABLE", `${resolve(file)} does not exist`);
  try {
    const db = new DatabaseSync(file, { readOnly: true });
    try {
      const [found] = Object.values(db.prepare("PRAGMA integrity_check(1)").get() as Record<string, string>);
      if (found !== "ok") throw new StoreError("STORE_DAMAGED", `${file}: ${found}`);
    } finally {
      db.close();
    }
  } catch (error) {
    throw failure(error, file);
  }
}

/** A new store in a file, which has its name only when it is whole. */
async function writeNew(file: string, snapshot: Snapshot, progress: Progress): Promise<void> {
  const unfinished = `${file}.part`;
  removeStore(unfinished);
  try {
    await fill(await SqliteStore.open(unfinished), snapshot, progress);
    renameSync(unfinished, file);
  } finally {
    removeStore(unfinished);
  }
}

async function fill(store: Store, snapshot: Snapshot, progress: Progress): Promise<void> {
  try {
    if ((await store.count()) > 0) {
      throw new StoreError(
        "STORE_IN_USE",
        `${store.name} has jobs: restore into a new store, then start its server`,
      );
    }
    await store.reserve(snapshot.nextId, 0);
    await store.commit({ ...NO_CHANGES, fired: snapshot.fired });
    let done = 0;
    progress(0, snapshot.count);
    for await (const puts of snapshot.jobs()) {
      await store.commit({ ...NO_CHANGES, puts });
      done += puts.length;
      progress(done, snapshot.count);
    }
  } finally {
    await store.close();
  }
}

function removeStore(file: string): void {
  for (const suffix of ["", "-wal", "-shm", "-lock", "-lock-journal"]) rmSync(file + suffix, { force: true });
}
