import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as after } from "node:timers/promises";

/* Finding and ending what builds start. Linux only: elsewhere there is no `/proc`, and nothing is found. */

/** A process that cannot be mistaken for a later one of the same number. */
export interface ProcessMark {
  readonly pid: number;
  /** In clock ticks since the machine started. */
  readonly startTime: string;
  /** Of the machine's run. */
  readonly boot: string;
}

/** What is known of the processes of an execution. */
export interface ProcessTrail {
  readonly mark: ProcessMark | null;
  /** A user that only this execution has. */
  readonly uid: number | null;
  readonly cgroup: string | null;
  /** A line of the environment that only this execution has. */
  readonly environment: string;
}

/** Times that processes are looked for and ended, before what is left is left. */
const ROUNDS = 200;

export function markOf(pid: number): ProcessMark | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The name before it may hold anything, brackets and spaces too.
    const startTime = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]!;
    return { pid, startTime, boot: bootId() };
  } catch {
    return null;
  }
}

function bootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
}

export function isSame(mark: ProcessMark): boolean {
  const now = markOf(mark.pid);
  return now !== null && now.startTime === mark.startTime && now.boot === mark.boot;
}

/** Ends a process and its group. */
export function killGroup(pid: number): void {
  for (const target of [-pid, pid]) {
    try {
      process.kill(target, "SIGKILL");
    } catch {
      // It is gone.
    }
  }
}

/**
 * Ends every process of a trail, also those that left its group, again and again until there is none.
 * @returns How many were left in the end.
 */
export async function endTrail(trail: ProcessTrail): Promise<number> {
  if (trail.mark !== null && isSame(trail.mark)) killGroup(trail.mark.pid);
  let left: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    left = await pidsOf(trail);
    if (left.length === 0) break;
    // Stopped first, so that none makes another while its siblings end.
    for (const signal of ["SIGSTOP", "SIGKILL"] as const) {
      for (const pid of left) {
        try {
          process.kill(pid, signal);
        } catch {
          // It is gone.
        }
      }
    }
    await after(Math.min(round, 20));
  }
  if (trail.cgroup !== null) removeCgroup(trail.cgroup);
  return left.length;
}

async function pidsOf(trail: ProcessTrail): Promise<number[]> {
  const found = new Set<number>(trail.cgroup === null ? [] : cgroupPids(trail.cgroup));
  let all: string[];
  try {
    all = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  } catch {
    all = [];
  }
  const line = `\0${trail.environment}\0`;
  for (const name of all) {
    const pid = Number(name);
    if (pid === process.pid || found.has(pid)) continue;
    try {
      const status = await readFile(`/proc/${name}/status`, "latin1");
      // What has ended and was not collected cannot be ended again.
      if (/^State:\t[ZX]/m.test(status)) continue;
      const uid = Number(/^Uid:\t(\d+)/m.exec(status)?.[1]);
      if (uid === trail.uid) found.add(pid);
      else if (trail.uid === null && `\0${await readFile(`/proc/${name}/environ`, "latin1")}`.includes(line))
        found.add(pid);
    } catch {
      // It is gone, or it is not ours.
    }
  }
  return [...found];
}

/**
 * Makes a group in which at most so many processes and threads can be.
 * @returns Its folder, or `null` where such groups are not writable.
 */
export function makeCgroup(name: string, maxProcesses: number): string | null {
  for (const parent of cgroupParents()) {
    const folder = join(parent, name);
    try {
      mkdirSync(folder);
      writeFileSync(join(folder, "pids.max"), String(maxProcesses));
      return folder;
    } catch {
      removeCgroup(folder);
    }
  }
  return null;
}

/** Where this process's groups are that count processes, in either version. */
function cgroupParents(): string[] {
  try {
    return readFileSync("/proc/self/cgroup", "latin1")
      .split("\n")
      .flatMap((line) => {
        const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
        if (controllers === "pids") return [join("/sys/fs/cgroup/pids", path!)];
        return controllers === "" ? [join("/sys/fs/cgroup", path!)] : [];
      });
  } catch {
    return [];
  }
}

function cgroupPids(folder: string): number[] {
  try {
    return readFileSync(join(folder, "cgroup.procs"), "latin1").split("\n").filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

export function removeCgroup(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // There is none, or something is in it still, which the next start ends.
  }
}
