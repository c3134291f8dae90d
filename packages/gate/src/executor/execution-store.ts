import {
  appendFileSync,
  closeSync,
  createWriteStream,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { mkdir, readdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type OutputChunk, readLogFile } from "./build-log.ts";
import { ExecutorError } from "./build-request.ts";
import { removeHeld } from "./held-workspaces.ts";
import { removeFolder } from "./workspace.ts";

/** How much of a log is read at a time. */
const READ_BYTES = 256 * 1024;
const MIN_READ_BYTES = 4;
/** Deepest folder of an artifact. */
const MAX_DEPTH = 32;

/** What is taken of one execution from an executor that is elsewhere. */
export interface HandedInLimits {
  /** Default: 66 MiB, what an executor lets a build write, with lines of its own. */
  readonly maxLogBytes: number;
  /** Of one request. Default: 4 MiB. */
  readonly maxPieceBytes: number;
  readonly maxArtifacts: number;
  readonly maxArtifactBytes: number;
}

const MIB = 1024 * 1024;

export const DEFAULT_HANDED_IN_LIMITS: HandedInLimits = {
  maxLogBytes: 66 * MIB,
  maxPieceBytes: 4 * MIB,
  maxArtifacts: 1_000,
  maxArtifactBytes: 100 * MIB,
};

/** What stands beside a log that came from elsewhere. */
interface HandedIn {
  readonly artifacts: number;
  readonly artifactBytes: number;
}

/**
 * Logs and artifacts of executions, one folder each: of those that ran here, and of those that an executor elsewhere hands in
 * while they run. Of the latter a piece is taken only where the log ends, so that whoever sends it twice does no harm.
 */
export class ExecutionStore {
  readonly folder: string;
  readonly limits: HandedInLimits;
  /** Of this process's own executor. */
  readonly running = new Set<string>();
  readonly #handedIn = new Map<string, HandedIn>();

  /** @param folder Made when it is not there. */
  constructor(folder: string, limits: Partial<HandedInLimits> = {}) {
    this.folder = folder;
    this.limits = { ...DEFAULT_HANDED_IN_LIMITS, ...limits };
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  }

  /** Where an execution's log and its `artifacts/` are; `undefined` for what is no name of one. */
  folderOf(execution: string): string | undefined {
    if (!isExecution(execution)) return undefined;
    const folder = join(this.folder, execution);
    return existsSync(folder) ? folder : undefined;
  }

  /**
   * A piece of an execution's log, which may still grow.
   * @param from An offset that was told before, or 0.
   * @returns `undefined` when there is no such execution. `isEnded`: nothing comes after this piece, as far as is known here.
   */
  async readLog(
    execution: string,
    from = 0,
    maxBytes = READ_BYTES,
  ): Promise<(OutputChunk & { readonly isEnded: boolean }) | undefined> {
    const folder = this.folderOf(execution);
    if (folder === undefined) return undefined;
    // Asked before it is read: what was written between the two is not the end then.
    const isRunning = this.running.has(execution);
    try {
      const chunk = await readLogFile(join(folder, "log"), from, Math.max(MIN_READ_BYTES, maxBytes));
      const rest = chunk.bytes.length === 0 || chunk.bytes.length < maxBytes - MIN_READ_BYTES;
      return { ...chunk, isEnded: !isRunning && rest };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  }

  /**
   * Takes a piece of the log of an execution that runs elsewhere, if it begins where the log ends here.
   * @returns how long the log is here now: whoever sends goes on from there.
   * @throws ExecutorError `EXECUTION_REFUSED`
   */
  async appendLog(execution: string, from: number, bytes: Uint8Array): Promise<number> {
    const folder = this.#folderFor(execution);
    // In one go: the same piece may come a second time while the first is not written yet.
    const file = openSync(join(folder, "log"), "a", 0o600);
    try {
      const { size } = fstatSync(file);
      if (size !== from) return size;
      if (size + bytes.length > this.limits.maxLogBytes)
        throw new ExecutorError("EXECUTION_REFUSED", `a log may have ${this.limits.maxLogBytes} bytes`);
      appendFileSync(file, bytes);
      return size + bytes.length;
    } finally {
      closeSync(file);
    }
  }

  /**
   * Takes an artifact of an execution that ran elsewhere, whole or not at all. Sent again, it takes the place of the first.
   * @throws ExecutorError `EXECUTION_REFUSED`
   */
  async putArtifact(execution: string, name: string, content: Readable): Promise<void> {
    const parts = name.split("/");
    if (
      parts.length > MAX_DEPTH ||
      parts.some((part) => !/^[^\0]{1,255}$/.test(part) || /^\.\.?$/.test(part))
    )
      throw new ExecutorError(
        "EXECUTION_REFUSED",
        `${JSON.stringify(name.slice(0, 200))} is no name of an artifact`,
      );
    const folder = this.#folderFor(execution);
    const to = join(folder, "artifacts", name);
    const { left } = this.#room(execution, folder, to);
    const tooMuch = new ExecutorError(
      "EXECUTION_REFUSED",
      `artifacts may have ${this.limits.maxArtifactBytes} bytes together`,
    );
    const coming = join(folder, `coming-${process.hrtime.bigint()}`);
    let bytes = 0;
    const counted = new Transform({
      transform: (chunk: Buffer, _encoding, done) => {
        bytes += chunk.length;
        if (bytes <= left) done(null, chunk);
        else done(tooMuch);
      },
    });
    try {
      await pipeline(content, counted, createWriteStream(coming, { mode: 0o600 }));
      await mkdir(dirname(to), { recursive: true, mode: 0o700 });
      // Others may have come meanwhile; from here on none can.
      const now = this.#room(execution, folder, to);
      if (bytes > now.left) throw tooMuch;
      renameSync(coming, to);
      this.#keep(execution, folder, {
        artifacts: now.artifacts + 1,
        artifactBytes: this.limits.maxArtifactBytes - now.left + bytes,
      });
    } catch (error) {
      await rm(coming, { force: true });
      throw error;
    }
  }

  /**
   * What there is beside the artifact at a path, and the bytes that it may have.
   * @throws ExecutorError `EXECUTION_REFUSED` when no more artifacts are taken
   */
  #room(
    execution: string,
    folder: string,
    path: string,
  ): { readonly artifacts: number; readonly left: number } {
    const known = this.#known(execution, folder);
    const before = statSync(path, { throwIfNoEntry: false });
    const artifacts = known.artifacts - (before === undefined ? 0 : 1);
    const { maxArtifacts, maxArtifactBytes } = this.limits;
    if (artifacts >= maxArtifacts)
      throw new ExecutorError("EXECUTION_REFUSED", `at most ${maxArtifacts} artifacts are kept`);
    return { artifacts, left: maxArtifactBytes - known.artifactBytes + (before?.size ?? 0) };
  }

  /**
   * Forgets logs and artifacts of executions that ended before `olderThanMs`, and then the oldest, until what is left is no
   * more than `maxBytes`.
   * @param kept Executions that stay.
   * @returns The executions that are gone.
   */
  async sweep(
    olderThanMs: number,
    maxBytes: number,
    kept: ReadonlySet<string> = new Set(),
  ): Promise<string[]> {
    const ended: { readonly id: string; readonly endedMs: number; readonly bytes: number }[] = [];
    for (const id of await readdir(this.folder)) {
      if (this.running.has(id) || kept.has(id)) continue;
      ended.push({ id, ...keptIn(join(this.folder, id)) });
    }
    ended.sort((a, b) => a.endedMs - b.endedMs);
    let bytes = ended.reduce((sum, one) => sum + one.bytes, 0);
    const gone: string[] = [];
    for (const one of ended) {
      if (one.endedMs >= olderThanMs && bytes <= maxBytes) break;
      await this.remove(one.id);
      bytes -= one.bytes;
      gone.push(one.id);
    }
    return gone;
  }

  async remove(execution: string): Promise<void> {
    this.#handedIn.delete(execution);
    await removeHeld(join(this.folder, execution));
    await removeFolder(join(this.folder, execution));
  }

  /** @throws ExecutorError `EXECUTION_REFUSED` when it is no name of an execution, or one that ran here. */
  #folderFor(execution: string): string {
    const folder = join(this.folder, execution);
    if (!isExecution(execution) || existsSync(join(folder, "execution.json")))
      throw new ExecutorError(
        "EXECUTION_REFUSED",
        `${JSON.stringify(execution.slice(0, 80))} is no execution elsewhere`,
      );
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (!existsSync(join(folder, HANDED_IN)))
      this.#keep(execution, folder, { artifacts: 0, artifactBytes: 0 });
    return folder;
  }

  #known(execution: string, folder: string): HandedIn {
    const known = this.#handedIn.get(execution);
    if (known !== undefined) return known;
    try {
      return JSON.parse(readFileSync(join(folder, HANDED_IN), "utf8")) as HandedIn;
    } catch {
      return { artifacts: 0, artifactBytes: 0 };
    }
  }

  #keep(execution: string, folder: string, handedIn: HandedIn): void {
    if (this.#handedIn.size > 1_000) this.#handedIn.clear();
    this.#handedIn.set(execution, handedIn);
    const path = join(folder, HANDED_IN);
    writeFileSync(`${path}.new`, JSON.stringify(handedIn), { mode: 0o600 });
    renameSync(`${path}.new`, path);
  }
}

const HANDED_IN = "handed-in.json";

export function isExecution(name: string): boolean {
  return /^[0-9a-f-]{36}$/.test(name);
}

/** When an execution ended, and what it takes. */
function keptIn(folder: string): { readonly endedMs: number; readonly bytes: number } {
  try {
    const { startedMs, endedMs, bytes, held } = JSON.parse(
      readFileSync(join(folder, "execution.json"), "utf8"),
    ) as {
      readonly startedMs: number;
      readonly endedMs: number | null;
      readonly bytes: number;
      readonly held?: { readonly bytes: number } | null;
    };
    return { endedMs: endedMs ?? startedMs, bytes: bytes + (held?.bytes ?? 0) };
  } catch {
    // Not one that ran here.
  }
  const log = statSync(join(folder, "log"), { throwIfNoEntry: false });
  let artifacts = 0;
  let handedInMs = 0;
  try {
    const path = join(folder, HANDED_IN);
    artifacts = (JSON.parse(readFileSync(path, "utf8")) as HandedIn).artifactBytes;
    handedInMs = statSync(path).mtimeMs;
  } catch {
    // Nothing of it is known, then.
  }
  return { endedMs: Math.max(log?.mtimeMs ?? 0, handedInMs), bytes: (log?.size ?? 0) + artifacts };
}
