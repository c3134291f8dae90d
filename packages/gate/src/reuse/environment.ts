import { readFileSync } from "node:fs";
import { arch, release, type } from "node:os";
import type { Isolation } from "../executor/index.ts";

/** Where the release of a Linux system is told, the first that there is. */
const RELEASE_FILES = ["/etc/os-release", "/usr/lib/os-release"];

/**
 * What builds may depend on without anybody saying so. What is installed besides, an operator knows; he also knows the
 * machines of executors elsewhere, which have to be alike within a zone.
 * @param isolation Of this machine's executor; `null` when all are elsewhere.
 * @param image What the operator calls it; another name after something was installed.
 */
export function localEnvironment(isolation: Isolation | null, image: string): string {
  if (isolation === null) return JSON.stringify({ image });
  return JSON.stringify({
    system: `${type()} ${release()} ${arch()}`,
    release: releaseText(),
    isolation,
    image,
  });
}

function releaseText(): string {
  for (const path of RELEASE_FILES) {
    try {
      return readFileSync(path, "utf8");
    } catch {
      // The next one may be there.
    }
  }
  return "";
}
