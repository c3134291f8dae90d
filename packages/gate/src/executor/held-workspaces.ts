import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { readdir, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import type { RunResult } from "../core/index.ts";
import type { CheckedRequest } from "./build-request.ts";
import { bytesIn } from "./disk-watch.ts";
import { environmentOf } from "./environment.ts";
import { type ExecutionRecord, type HeldRecord, readRecord, writeRecord } from "./execution-record.ts";
import type { Folders, Sandbox } from "./isolation.ts";
import { endTrail } from "./processes.ts";
import { removeFolder, type Workspace } from "./workspace.ts";

/* Workspaces of builds that failed and were wished for: they stay where they were until they are let go (Zuul §5.9). */

/** How a shell is had in a held workspace, isolated as its build was and with its environment. */
export interface HeldShell {
  /** As executors know it. */
  readonly build: string;
  readonly execution: string;
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** From outside. */
  readonly cwd: string;
  /** What is checked out, by project. */
  readonly commits: Readonly<Record<string, readonly string[]>>;
}

/** A workspace that an executor holds. */
export interface HeldWorkspace {
  readonly execution: string;
  readonly sinceMs: number;
  readonly untilMs: number;
  readonly bytes: number;
}

const HELD_FILE = "held.json";
/** With a terminal of its own, so that what interrupts a command there does not end the shell. */
const SHELL = `
shell=sh; command -v bash > /dev/null && shell=bash
if [ -t 0 ] && command -v script > /dev/null; then exec script -qec "$shell" /dev/null; fi
exec $shell`;

export interface HoldTerms {
  /** For how long the workspace of one that ended so is to be kept. `null`: it is not. */
  readonly holdMs: (result: RunResult) => Promise<number | null>;
  /** Why a workspace of so many bytes cannot be held, in a sentence. `null`: it can. */
  readonly roomFor: (bytes: number) => Promise<string | null>;
}

interface KeptTerms extends HoldTerms {
  readonly work: string;
  readonly id: string;
  readonly request: CheckedRequest;
  /** Of the execution. */
  readonly folder: string;
  readonly folders: Folders;
  readonly uid: number | null;
  readonly sandbox: Sandbox;
  readonly workspace: Workspace;
}

/**
 * Keeps the workspace of a build that has ended, if that is wished.
 * @returns `null`: nobody wishes it. A text: why it is not kept, though somebody does.
 */
export async function holdWorkspace(
  terms: KeptTerms,
  result: RunResult,
): Promise<HeldRecord | string | null> {
  const { folder, work, holdMs, roomFor } = terms;
  const forMs = await holdMs(result);
  if (forMs === null) return null;
  try {
    await keepForShell(terms);
    const bytes = (await bytesIn([work])).get(work) ?? 0;
    const obstacle = await roomFor(bytes);
    if (obstacle === null) {
      const sinceMs = Date.now();
      return { sinceMs, untilMs: sinceMs + forMs, bytes };
    }
    await forgetShell(folder);
    return obstacle;
  } catch (error) {
    await forgetShell(folder);
    return (error as Error).message;
  }
}

/** Writes down what a shell in a workspace needs. What entries were given for themselves alone does not stay: secrets, above all. */
async function keepForShell(terms: KeptTerms): Promise<void> {
  const { id, request, folder, folders, uid, sandbox, workspace } = terms;
  await Promise.all([removeFolder(folders.given), removeFolder(folders.apart)]);
  const cwd = workspace.sources.get(request.project)!.path;
  const { network } = request;
  const { objectStores } = workspace;
  const shell: HeldShell = {
    build: request.build,
    execution: id,
    command: sandbox.command({ folders, uid, network, cwd, objectStores, argv: ["sh", "-c", SHELL] }),
    env: environmentOf({
      ...{ id, request, folders, isolation: sandbox.isolation, phase: "run", told: {} },
      inside: (path) => sandbox.inside(folders, path),
    }),
    cwd: sandbox.isolation === "bubblewrap" ? folders.root : cwd,
    commits: Object.fromEntries(
      request.repositories.map(({ project, branches, before, checkout }) => {
        const ids = [...Object.values(branches), ...Object.values(before), checkout];
        return [project, [...new Set(ids.filter((one) => /^[0-9a-f]{40}$/.test(one)))]];
      }),
    ),
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

export async function forgetShell(folder: string): Promise<void> {
  await rm(join(folder, HELD_FILE), { force: true });
}

/** Removes a held workspace, and ends the shells in it. What is not held is left alone. @param folder Of the execution. */
export async function removeHeld(folder: string): Promise<void> {
  const record = readRecord(folder);
  if (record?.held == null) return;
  await forgetShell(folder);
  await endTrail({ ...record.trail, mark: null, cgroup: null });
  await removeFolder(record.work);
  writeRecord(folder, { ...record, held: null });
}

/** Workspaces that are held, by execution. @param executions Where records are. */
export async function heldIn(work: string, executions: string): Promise<HeldWorkspace[]> {
  const names = await readdir(work).catch(() => []);
  return names.flatMap((execution) => heldOf(readRecord(join(executions, execution)), execution));
}

function heldOf(record: ExecutionRecord | undefined, execution: string): HeldWorkspace[] {
  if (record?.held == null || !existsSync(record.work)) return [];
  return [{ execution, ...record.held }];
}

/** Removes all workspaces but those that are held. @param executions Where records are. */
export async function clearWork(work: string, executions: string, nowMs: number): Promise<void> {
  const held = new Set(
    (await heldIn(work, executions))
      .filter(({ untilMs }) => untilMs > nowMs)
      .map(({ execution }) => execution),
  );
  for (const name of await readdir(work).catch(() => [])) {
    if (held.has(name)) continue;
    await removeHeld(join(executions, name));
    await removeFolder(join(work, name));
  }
  if (held.size === 0) await rmdir(work).catch(() => {});
}
