import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { install, installObstacle } from "./install.ts";
import { withLock } from "./lock.ts";
import { findMissing, packages } from "./packages.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Packages that are not here, each with why it could not be brought here. */
    missingPackages: Record<string, string>;
  }
}

/** Brings here what the tests need of real peers; what cannot come is told to the tests, which say so. */
export default async function setup(project: TestProject): Promise<void> {
  project.provide("missingPackages", await bringPackages());
}

async function bringPackages(): Promise<Record<string, string>> {
  const missing = await findMissing(packages);
  if (missing.length === 0) return {};
  const obstacle = installObstacle();
  if (obstacle !== undefined) return Object.fromEntries(missing.map((name) => [name, obstacle]));
  return withLock(join(tmpdir(), "drover-tests-install.lock"), async () => {
    // Another run may have brought them while this one waited.
    const wanted = await findMissing(packages);
    if (wanted.length === 0) return {};
    process.stdout.write(`Installing peers for the tests: ${wanted.join(" ")}\n`);
    const failures = await install(wanted);
    const still = await findMissing(packages);
    return Object.fromEntries(
      still.map((name) => [name, failures.get(name) ?? "it was installed and is not found"]),
    );
  });
}
