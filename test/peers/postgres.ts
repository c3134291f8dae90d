import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chownSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findProgram } from "./packages.ts";
import { freePort } from "./ports.ts";
import { until } from "./until.ts";

/** Where Debian has the programs of each major version. */
const VERSIONS = "/usr/lib/postgresql";
const START_MS = 30_000;
/** PostgreSQL does not run as root; `nobody` is there everywhere. */
const NOBODY = 65_534;

/** Where a program of PostgreSQL is, or undefined. */
export function findPostgres(program: string): string | undefined {
  const found = findProgram(program);
  if (found !== undefined) return found;
  try {
    const paths = readdirSync(VERSIONS).map((version) => join(VERSIONS, version, "bin", program));
    return paths.toSorted().at(-1);
  } catch {
    return undefined;
  }
}

/** A real PostgreSQL server with an empty database, in a folder of its own. */
export interface Postgres {
  /** `postgres://…` of the database. */
  readonly url: string;
  stop(): Promise<void>;
  /** Starts it again after a `stop`, with its data, on the same port. */
  start(): Promise<void>;
  remove(): Promise<void>;
}

/** Starts PostgreSQL on a free port of loopback. */
export async function startPostgres(): Promise<Postgres> {
  const folder = mkdtempSync(join(tmpdir(), "drover-postgres-"));
  const identity = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
  if (identity.uid !== undefined) chownSync(folder, NOBODY, NOBODY);
  const data = join(folder, "data");
  const init = ["-D", data, "-U", "drover", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"];
  execFileSync(findPostgres("initdb")!, init, { ...identity, cwd: folder, stdio: "pipe" });
  const port = await freePort();
  let server: ReturnType<typeof spawn> | undefined;
  const start = async (): Promise<void> => {
    const args = ["-D", data, "-h", "127.0.0.1", "-p", String(port), "-k", folder];
    server = spawn(findPostgres("postgres")!, args, { ...identity, cwd: folder, stdio: "ignore" });
    // It listens before it takes anybody in.
    const ready = ["-h", "127.0.0.1", "-p", String(port), "-U", "drover", "-d", "postgres", "-q"];
    await until(
      "PostgreSQL is ready",
      START_MS,
      () => spawnSync(findPostgres("pg_isready")!, ready).status === 0,
    );
  };
  const stop = async (): Promise<void> => {
    if (server === undefined || server.exitCode !== null) return;
    const ended = once(server, "exit");
    // "Immediate": as a crash.
    server.kill("SIGQUIT");
    await ended;
  };
  await start();
  return {
    url: `postgres://drover@127.0.0.1:${port}/postgres`,
    start,
    stop,
    remove: async () => {
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
