import { possibleSchemes } from "./main.ts";
import { Bench, type Figures } from "./measure.ts";
import { SCENARIOS, SMALL } from "./scenarios.ts";
import type { SchemeName } from "./schemes.ts";

const ALL = SMALL.processes * SMALL.requests;

/** What each run has to count, of those schemes and scenarios that are over soon. */
const CHECKS: readonly (readonly [SchemeName, scenario: string, holds: (figures: Figures) => boolean])[] = [
  ["in-process", "memcached-down", ({ computations }) => computations === SMALL.processes],
  ["dogpile-poll", "cold", isOne],
  ["meta-token", "cold", isOne],
  ["meta-token", "soft-expiry", isStaleToAllButOne],
  ["gearmand", "cold", isOne],
  ["gearmand", "memcached-down", isOne],
  ["gearmand", "winner-killed", isMinimal],
  ["drover-cache", "cold", isOne],
  ["drover-cache", "memcached-down", isOne],
  ["drover-cache", "zipf", isMinimal],
  ["drover-cache", "soft-expiry", isStaleThenFreshToAll],
  ["drover-cache", "winner-killed", isMinimal],
];

/** Few processes and short work: only counts, and that no stale value comes after a fresh one. @returns How many were wrong. */
export async function checkCache(): Promise<number> {
  const possible = await possibleSchemes([...new Set(CHECKS.map(([scheme]) => scheme))]);
  const checks = CHECKS.filter(([scheme]) => possible.includes(scheme));
  const bench = await Bench.start(SMALL, possible);
  let wrong = 0;
  try {
    for (const [scheme, name, holds] of checks) {
      const figures = await bench.run(scheme, SCENARIOS.find((scenario) => scenario.name === name)!);
      if (holds(figures) && figures.wrong === 0 && figures.failed === 0) continue;
      wrong++;
      process.stderr.write(`bench: cache ${name} with ${scheme} counted ${JSON.stringify(figures)}\n`);
    }
  } finally {
    await bench.stop();
  }
  process.stdout.write(`bench: ${checks.length - wrong} herds of a cache right, ${wrong} wrong\n`);
  return wrong;
}

function isOne({ computations, answered }: Figures): boolean {
  return computations === 1 && answered === ALL;
}

function isMinimal({ computations, minimum, answered }: Figures): boolean {
  return computations === minimum && answered === ALL;
}

function isStaleToAllButOne(figures: Figures): boolean {
  return isOne(figures) && figures.stale > 0 && figures.fresh > 0;
}

function isStaleThenFreshToAll(figures: Figures): boolean {
  return isOne(figures) && figures.stale === ALL && figures.fresh === ALL;
}
