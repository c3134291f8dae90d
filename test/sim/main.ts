import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import type { Assignment, Report } from "./shard.ts";

/*
 * Simulates the job server, the gate, or a fleet of servers: many seeds, each a world of its own. `npm run sim -- --seed 17` repeats one
 * seed exactly.
 */

const USAGE = `Usage: npm run sim -- [gate | fleet] [options]

  gate          the core of the gate; its steps are events (default: 2000)
  fleet         five servers of a fleet (default: 5000 steps)

  --seeds N     run the seeds from --from on (default: 1000)
  --from S      first seed (default: 1)
  --seed S      run this seed only
  --steps N     steps of each seed (default: 10000)
  --threads N   threads (default: 2)
  --day         with gate: one working day of it, with builds of equal content as one execution and without
  --crashes     the server with a store, which crashes between any two effects (default: 2000 steps)

Every 20th seed is run a second time, which must come out the same to the last byte, and without the peers that speak
nonsense, which must not change what anybody else is sent; those of the gate and the fleet only a second time. The exit code is 1
when a seed fails.
`;

/** Failing seeds after which it ends early. */
const ENOUGH_FAILURES = 5;
const THOROUGH_EVERY = 20;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seeds: { type: "string", default: "1000" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
    steps: { type: "string" },
    threads: { type: "string", default: "2" },
    crashes: { type: "boolean", default: false },
    day: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});

const gate = positionals[0] === "gate";
const fleet = positionals[0] === "fleet";
if (positionals.length > (gate || fleet ? 1 : 0)) {
  process.stderr.write(`there is nothing to simulate called ${positionals.at(-1)}\n`);
  process.exit(1);
}

function count(name: "seeds" | "from" | "seed" | "steps" | "threads"): number {
  const value = Number(values[name] ?? (fleet ? 5000 : values.crashes || gate ? 2000 : 10_000));
  if (Number.isSafeInteger(value) && value >= 0) return value;
  process.stderr.write(`--${name} takes a whole number, not ${values[name]}\n`);
  process.exit(1);
}

if (values.help) {
  process.stdout.write(USAGE);
  process.exit(0);
}

if (values.day) {
  if (!gate) {
    process.stderr.write("--day is of the gate: npm run sim -- gate --day\n");
    process.exit(1);
  }
  const { compareDays, dayText } = await import("./gate/day.ts");
  const days = compareDays(values.seed === undefined ? 1 : count("seed"));
  process.stdout.write(dayText(days));
  process.exit(days.different.length === 0 ? 0 : 1);
}

const steps = count("steps");
const single = values.seed !== undefined;
const first = single ? count("seed") : count("from");
const seeds = single ? 1 : count("seeds");
const began = performance.now();
let nextSeed = first;
let done = 0;
let stepsDone = 0;
const failed: number[] = [];
let lastShown = began;

function tell(report: Report): void {
  done++;
  stepsDone += report.steps;
  const { failure, seed } = report;
  if (failure !== null) {
    failed.push(seed);
    const events = failure.events.map((event) => `  ${event.slice(0, 220)}\n`).join("");
    process.stdout.write(
      `\nseed ${seed} broke an invariant at step ${report.steps}\n${events}  ${failure.text}\n` +
        `repeat: npm run sim --${gate ? " gate" : fleet ? " fleet" : ""}${values.crashes ? " --crashes" : ""} --seed ${seed} --steps ${steps}\n\n`,
    );
  }
  const now = performance.now();
  if (now - lastShown < 10_000 && done < seeds) return;
  lastShown = now;
  const seconds = (now - began) / 1000;
  process.stdout.write(
    `${done} of ${seeds} seeds, ${stepsDone} steps, ${failed.length} failed, ${seconds.toFixed(0)} s\n`,
  );
}

function runThread(): Promise<void> {
  const thread = new Worker(new URL("./shard.ts", import.meta.url));
  return new Promise((resolve, reject) => {
    const next = () => {
      if (nextSeed >= first + seeds || failed.length >= ENOUGH_FAILURES) {
        thread.terminate().then(() => resolve(), reject);
        return;
      }
      const seed = nextSeed++;
      const thorough = single || seed % THOROUGH_EVERY === 0;
      const assignment: Assignment = { seed, steps, thorough, crashes: values.crashes, gate, fleet };
      thread.postMessage(assignment);
    };
    thread.on("message", (report: Report) => {
      tell(report);
      next();
    });
    thread.on("error", reject);
    next();
  });
}

await Promise.all(Array.from({ length: Math.min(count("threads"), seeds) }, runThread));
process.stdout.write(
  failed.length === 0
    ? `all ${done} seeds hold\n`
    : `${failed.length} of ${done} seeds failed: ${failed.join(", ")}\n`,
);
process.exitCode = failed.length === 0 ? 0 : 1;
