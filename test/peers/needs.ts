import { describe, inject, test } from "vitest";
import { type PeerName, peers } from "./packages.ts";
import "./setup.ts";

/** Why tests that need these peers cannot run here, or `undefined` when they can. */
export function whyMissing(names: readonly PeerName[], missing: Record<string, string>): string | undefined {
  for (const name of names) {
    const absent = peers[name].filter((part) => part in missing);
    if (absent.length > 0) {
      return `needs ${name}, install it with: apt-get install ${absent.join(" ")} (${missing[absent[0]!]})`;
    }
  }
  return undefined;
}

/**
 * A group of tests that talk with real peers. Where one is missing they are skipped, and the run's end says what
 * to install; under CI=true the group fails instead, so that no peer is lost without being noticed.
 */
export function describeWith(names: readonly PeerName[], title: string, body: () => void): void {
  const reason = whyMissing(names, inject("missingPackages"));
  if (reason === undefined) {
    describe(title, body);
    return;
  }
  describe(title, () => {
    test(`needs ${names.join(", ")}`, (context) => {
      if (process.env.CI === "true") throw new Error(reason);
      context.skip(`skipped: ${reason}`);
    });
    describe.skip("its tests", body); // the title above names the missing peer
  });
}
