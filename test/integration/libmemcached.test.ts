import { join } from "node:path";
import { ketamaRing, type RoutedServer, ringOwner } from "@drover/client";
import fc from "fast-check";
import { expect, test } from "vitest";
import { describeWith } from "../peers/needs.ts";
import { buildPrograms, runProgram } from "./programs.ts";

const DEFAULT_PORT = 11_211;
const KEYS = Array.from({ length: 2_000 }, (_, i) => `key:${i}`);

interface Place {
  readonly host: string;
  readonly port: number;
  readonly weight: number;
}

/** As docs/ROUTING.md tells to name them. */
function serversOf(places: readonly Place[]): RoutedServer[] {
  return places.map(({ host, port, weight }) => {
    const address = `${host}:${port}`;
    return { name: port === DEFAULT_PORT ? host : address, address, weight };
  });
}

describeWith(["libmemcached"], "libmemcached", () => {
  /** Which server it chooses for each key. */
  async function chosen(places: readonly Place[]): Promise<string[]> {
    const program = join(await buildPrograms("libmemcached"), "owner");
    const args = places.map(({ host, port, weight }) => `${host}:${port}:${weight}`);
    const { code, stderr, lines } = await runProgram(program, args, `${KEYS.join("\n")}\n`);
    expect([code, stderr]).toEqual([0, ""]);
    return lines;
  }
  async function expectAgreement(places: readonly Place[]): Promise<void> {
    const ring = ketamaRing(serversOf(places));
    expect(await chosen(places)).toEqual(KEYS.map((key) => ringOwner(ring, key)!.address));
  }

  test("chooses the servers that ketama does, for any servers and weights", async () => {
    const places = fc.uniqueArray(
      fc.record({
        host: fc.oneof(fc.ipV4(), fc.constantFrom("localhost", "cache.example.org")),
        port: fc.oneof(fc.constant(DEFAULT_PORT), fc.integer({ min: 1, max: 65_535 })),
        weight: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 100 })),
      }),
      { minLength: 1, maxLength: 12, selector: ({ host, port }) => `${host}:${port}` },
    );
    await fc.assert(fc.asyncProperty(places, expectAgreement), { numRuns: 50 });
  });

  test.each([
    ["alike", [1, 1, 1, 1, 1]],
    ["such that libketama would round otherwise", [6, 23, 23, 24, 24]],
    ["such that libketama would round otherwise, too", [36, 18, 18, 18, 18, 18, 19, 18, 18, 18, 21]],
    ["of which one has no point", [1, 1_000, 1_000]],
  ])("agrees on weights %s", async (_name, weights) => {
    await expectAgreement(weights.map((weight, i) => ({ host: `10.0.0.${i}`, port: 11_300 + i, weight })));
  });
});
