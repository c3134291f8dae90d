import type { ChildProcess } from "node:child_process";

/**
 * A process that `spawn` has just made. Where this one may open no more files there is none, and it has no streams either.
 * @throws Error then, in place of an event to which nobody listens yet, which would end this process
 */
export function started<T extends ChildProcess>(child: T): T {
  if (child.pid !== undefined || child.stdout !== undefined) return child;
  child.on("error", () => {});
  throw new Error(
    `${child.spawnfile} cannot be started: this process may open no more files (ulimit -n, LimitNOFILE)`,
  );
}
