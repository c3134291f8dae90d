import { execFile } from "node:child_process";
import { findProgram, installedAlone } from "./packages.ts";
import { keepServicesFromStarting } from "./service-policy.ts";

/** Why `run` of a command failed, or `undefined` when it did not. */
export type Run = (program: string, ...args: string[]) => Promise<string | undefined>;

const attemptMs = 8 * 60_000;

export const runForReal: Run = (program, ...args) =>
  new Promise((answer) => {
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C" };
    execFile(program, args, { env, timeout: attemptMs, maxBuffer: 1 << 26 }, (error, _out, err) => {
      const last = err.trim().split("\n").at(-1);
      answer(error === null ? undefined : last || error.message);
    });
  });

/** Why packages cannot be installed here at all, or `undefined` when they can. */
export function installObstacle(): string | undefined {
  if (process.getuid?.() !== 0) return "only root can install it";
  if (findProgram("apt-get") === undefined) return "there is no apt-get to install it with";
  return undefined;
}

/** Packages whose service has their name, and would run from the machine's next start on. */
const SERVICES = ["gearman-job-server", "memcached", "prometheus", "redis-server"];

/** A machine without a network is to say so soon. */
const network = ["-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20"];

/**
 * Installs Debian packages, all in one call, or one by one where that call fails, so that one package nobody has
 * does not keep away the others. No service of theirs starts, now or at the machine's next start.
 * @returns For each package that could not be installed, the reason.
 */
export async function install(
  names: readonly string[],
  run: Run = runForReal,
  holdServices: () => () => void = keepServicesFromStarting,
): Promise<Map<string, string>> {
  const failures = new Map<string, string>();
  const get = (...wanted: string[]) =>
    run(
      "apt-get",
      "install",
      "--yes",
      "--no-install-recommends",
      ...network,
      "-o",
      "DPkg::Lock::Timeout=300",
      "-o",
      "Dpkg::Options::=--force-confold",
      ...wanted,
    );
  const releaseServices = holdServices();
  try {
    // Stale lists may still do, so a failure here shows itself in what follows.
    await run("apt-get", "update", ...network);
    const alone = names.filter((name) => installedAlone.includes(name));
    const others = names.filter((name) => !alone.includes(name));
    const together = others.length === 0 ? undefined : await get(...others);
    if (together !== undefined) {
      for (const name of others) {
        const reason = others.length === 1 ? together : await get(name);
        if (reason !== undefined) failures.set(name, reason);
      }
    }
    for (const name of alone) {
      const reason = await get(name);
      if (reason !== undefined) failures.set(name, reason);
    }
    for (const service of SERVICES) {
      if (names.includes(service) && !failures.has(service)) await run("update-rc.d", service, "disable");
    }
  } finally {
    releaseServices();
  }
  return failures;
}
