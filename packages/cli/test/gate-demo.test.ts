import { expect, test } from "vitest";
import { drover } from "./running.ts";

interface Told {
  readonly problems: readonly string[];
  readonly changes: readonly { readonly number: number; readonly state: string; readonly expected: string }[];
}

test("drover demo gate merges exactly the changes that are good", { timeout: 240_000 }, async () => {
  const { stdout, stderr, code } = await drover(["demo", "gate", "--slots", "4", "--json"], {
    deadlineMs: 220_000,
  });
  expect(stdout, stderr).not.toBe("");
  const { changes, problems } = JSON.parse(stdout) as Told;
  expect(problems).toEqual([]);
  expect(code).toBe(0);
  expect(changes).toHaveLength(12);
  expect(changes.map(({ number, state }) => [number, state])).toEqual(
    changes.map(({ number, expected }) => [number, expected]),
  );
});
