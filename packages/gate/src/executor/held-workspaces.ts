import { readFileSync, writeFileSync } from "node:fs";
import { readdir, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import type { CheckedRequest } from "./build-request.ts";
import { environmentOf } from "./environment.ts";
import { type ExecutionRecord, readRecord } from "./execution-record.ts";
import type { Folders, Sandbox } from "./isolation.ts";
import { removeFolder, type Workspace } from "./workspace.ts";

/* Workspaces of builds that failed and were wished for: they stay where they were until somebody lets them go. */

/** How a shell is had in a held workspace, isolated as its build was and with its environment. */
export interface HeldShell {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** From outside. */
  readonly cwd: string;
}

const HELD_FILE = "held.json";

interface KeptTerms {
  readonly id: string;
  readonly request: CheckedRequest;
  /** Of the execution. */
  readonly folder: string;
  readonly folders: Folders;
  readonly uid: number | null;
  readonly sandbox: Sandbox;
  readonly workspace: Workspace;
}

/** Writes down what a shell in a workspace needs. What builds had of secrets does not stay. */
export async function keepForShell(terms: KeptTerms): Promise<void> {
  const { id, request, folder, folders, uid, sandbox, workspace } = terms;
  await Promise.all([removeFolder(folders.given), removeFolder(folders.apart)]);
  const cwd = workspace.sources.get(request.project)!.path;
  const { network } = request;
  const { objectStores } = workspace;
  const argv = ["sh", "-c", "command -v bash > /dev/null && exec bash; exec sh"];
  const shell: HeldShell = {
    command: sandbox.command({ folders, uid, network, cwd, objectStores, argv }),
    env: environmentOf({
      ...{ id, request, folders, isolation: sandbox.isolation, phase: "run", told: {} },
      inside: (path) => sandbox.inside(folders, path),
    }),
    cwd: sandbox.isolation === "bubblewrap" ? folders.root : cwd,
  };
  writeFileSync(join(folder, HELD_FILE), JSON.stringify(shell), { mode: 0o600 });
}

/** @param folder Of the execution. @returns `undefined` when its workspace is not held. */
export function readHeldShell(folder: string): HeldShell | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, HELD_FILE), "utf8")) as HeldShell;
  } catch {
    return undefined;
  }
}

/** Removes a held workspace. What is not held is left alone. @param folder Of the execution. */
export async function removeHeld(folder: string): Promise<ExecutionRecord | undefined> {
  const record = readRecord(folder);
  if (record?.held == null) return undefined;
  await removeFolder(record.work);
  await rm(join(folder, HELD_FILE), { force: true });
  return record;
}

/** Removes all workspaces but those that are held. @param executions Where records are. */
export async function clearWork(work: string, executions: string, nowMs: number): Promise<void> {
  const names = await readdir(work).catch(() => []);
  let left = 0;
  for (const name of names) {
    const untilMs = readRecord(join(executions, name))?.held?.untilMs ?? 0;
    if (untilMs > nowMs) left++;
    else await removeFolder(join(work, name));
  }
  if (left === 0) await rmdir(work).catch(() => {});
}
