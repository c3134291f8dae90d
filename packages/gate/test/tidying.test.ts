import { expect, test } from "vitest";
import { tidy } from "../src/tidying.ts";

type Keepers = Parameters<typeof tidy>[0];

/** Keepers of what two buildsets that have ended hold, a third that is live, and 9, of which a workspace is held. */
function keepers(onLook: (begin: (buildset: number) => void) => void) {
  const live = [3];
  const held = ["bs-1", "bs-2", "bs-3", "bs-9"];
  const released: string[] = [];
  const pruned: unknown[] = [];
  const begin = (buildset: number): void => {
    live.push(buildset);
    held.push(`bs-${buildset}`);
  };
  const parts = {
    forge: { projects: () => ["app", "lib"], maintain: async () => {} },
    merger: {
      held: async (project: string) => {
        if (project === "app") onLook(begin);
        return [...held];
      },
      release: async (id: string, [project]: [string]) => void released.push(`${project} ${id}`),
    },
    scheduler: {
      status: () => ({
        pipelines: [{ queues: [{ items: [...live.map((buildset) => ({ buildset })), { buildset: null }] }] }],
      }),
    },
    autoholds: { table: { held: () => [{ buildset: 9 }] } },
    builds: { prune: (beforeMs: number, kept: ReadonlySet<number>) => pruned.push(beforeMs, [...kept]) },
    ledger: { prune: () => {} },
    executions: { sweep: async () => {} },
  };
  return { parts: parts as unknown as Keepers, released, pruned };
}

test("what ended buildsets hold is let go, and nothing of those that are live or of which a workspace is held", async () => {
  const { parts, released, pruned } = keepers(() => {});
  await tidy(parts, 1_000, 0);
  expect(released).toEqual(["app bs-1", "app bs-2", "lib bs-1", "lib bs-2"]);
  expect(pruned).toEqual([1_000, [3, 9]]);
});

test("a buildset that begins while others are looked through keeps what it holds", async () => {
  const { parts, released } = keepers((begin) => begin(4));
  await tidy(parts, 1_000, 0);
  expect(released).not.toContain("app bs-4");
  expect(released).not.toContain("lib bs-4");
  expect(released).toContain("lib bs-1");
});
