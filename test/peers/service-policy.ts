import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const mark = "# Written for the time of an installation by the tests of Drover.";
const noStart = `#!/bin/sh\n${mark}\nexit 101\n`;

/**
 * Debian starts the services of the packages it installs unless the program policy-rc.d says 101. Puts one that
 * does in its place, and gives the function that puts the former state back (a second call does nothing).
 */
export function keepServicesFromStarting(folder = "/usr/sbin"): () => void {
  const policy = join(folder, "policy-rc.d");
  const former = join(folder, "policy-rc.d.before-drover-tests");
  const restore = () => {
    if (existsSync(policy) && readFileSync(policy, "utf8").includes(mark)) rmSync(policy);
    if (existsSync(former)) renameSync(former, policy);
  };
  // A run that was killed may have left its own behind.
  restore();
  if (existsSync(policy)) renameSync(policy, former);
  writeFileSync(policy, noStart, { mode: 0o755 });

  let done = false;
  const once = () => {
    if (done) return;
    done = true;
    process.removeListener("exit", once);
    restore();
  };
  process.on("exit", once);
  return once;
}
