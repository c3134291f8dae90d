import { expect, test } from "vitest";
import { drover } from "./running.ts";

interface Told {
  readonly changes: readonly { readonly number: number; readonly state: string; readonly expected: string }[];
}

test("drover demo gate merges exactly the changes that are good", { timeout: 240_000 }, async () => {
  const { stdout, stderr } = await drover(["demo", "gate", "--slots", "4", "--json"], {
    deadlineMs: 220_000,
  });
  expect(stdout, stderr).not.toBe("");
  const { changes } = JSON.parse(stdout) as Told;
  expect(changes).toHaveLength(12);
  expect(changes.map(({ number, state }) => [number, state])).toEqual(
    changes.map(({ number, expected }) => [number, expected]),
  );
});
