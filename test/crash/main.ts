import { parseArgs } from "node:util";
import { buildGearbench } from "../../bench/tools.ts";
import { Broken, type Totals } from "./books.ts";
import { type GateCrashTotals, playGateCrashes } from "./gate/play.ts";
import { type ProcessCrashTotals, playProcessCrashes } from "./gate/play-processes.ts";
import { playCrashes } from "./play.ts";

const USAGE = `Usage: npm run crash -- [gate | gate-processes] [options]

Starts \`drover serve --store sqlite:…\` under load, kills it at a random moment, starts it again, and so on; then checks that
every acknowledged job ran, that none ran more often than the kills explain, and that the dead letters add up.

With \`gate\`: \`drover gate up --slots 50\` with builds that sleep, while changes are pushed and approved; then checks that all that
was approved is merged, that results stayed as they were, and that no process of a build is left.

With \`gate-processes\`: a gate of which job server, scheduler, executors and mergers are processes of their own, one of them killed
at a time, while changes are pushed that pass and some that fail, and some that need each other across two projects; then checks
that each is merged once, or has failed and was told, and of those that need each other all or none, after each start of the gate.

  --rounds N   kills (default: 500; of a gate 50, of its processes 100)
  --minutes M  begins no round after them (of \`gate-processes\`; default: 60)
  --seed S     of the moments (default: from the clock)

Exit codes: 0 nothing was lost, 1 something was.
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string" },
    minutes: { type: "string", default: "60" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    help: { type: "boolean", short: "h", default: false },
  },
});
const isGate = positionals[0] === "gate";
const isOfProcesses = positionals[0] === "gate-processes";
const rounds = Number(values.rounds ?? (isGate ? 50 : isOfProcesses ? 100 : 500));
const seed = Number(values.seed);
if (values.help || !Number.isSafeInteger(rounds) || rounds < 1 || !Number.isSafeInteger(seed)) {
  process.stdout.write(USAGE);
  process.exit(values.help ? 0 : 1);
}

function shown({ acknowledged, runs, again, unanswered, refused, deadLetters }: Totals): string {
  return (
    `${acknowledged} jobs acknowledged, ${unanswered} unanswered, ${refused} refused; ${runs} runs, ${again} of them again; ` +
    `${deadLetters} dead letters`
  );
}

function shownOfGate({ approved, resultsSeen, mostRunning, builds }: GateCrashTotals): string {
  return `${approved} changes approved, ${builds} builds begun, ${mostRunning} at a time at most, ${resultsSeen} results seen`;
}

function shownOfProcesses(totals: ProcessCrashTotals): string {
  const { kills, good, bad, cycles, halves, builds, lost, resultsSeen } = totals;
  const parts = Object.entries(kills).map(([part, count]) => `${part} ${count}`);
  return (
    `kills: ${parts.join(", ")}; ${good + bad} changes approved, ${bad} of them failing; ${cycles} pairs that need each other, ` +
    `half merged at a kill ${halves}; ${builds} builds, ${lost} lost with ` +
    `their executor; ${resultsSeen} results seen`
  );
}

async function play(tell: (round: number, so: string) => void): Promise<string> {
  if (isOfProcesses) {
    const totals = await playProcessCrashes({
      rounds,
      seed,
      minutes: Number(values.minutes),
      progress: (round, so) => tell(round, shownOfProcesses(so)),
    });
    return `seed ${seed}: nothing was forgotten or done twice; ${shownOfProcesses(totals)}`;
  }
  if (isGate) {
    const totals = await playGateCrashes({
      rounds,
      seed,
      progress: (round, so) => tell(round, shownOfGate(so)),
    });
    return `${totals.kills} kills, seed ${seed}: nothing was forgotten; ${shownOfGate(totals)}`;
  }
  const generator = await buildGearbench();
  const progress = (round: number, so: Totals) => tell(round, shown(so));
  const totals = await playCrashes({ rounds, seed, generator, progress });
  return `${totals.kills} kills, seed ${seed}: nothing was lost; ${shown(totals)}`;
}

const began = performance.now();
let lastShown = began;
try {
  const told = await play((round, so) => {
    const now = performance.now();
    if (now - lastShown < 5000 && round < rounds) return;
    lastShown = now;
    process.stdout.write(`${round} of ${rounds} kills, ${((now - began) / 1000).toFixed(0)} s: ${so}\n`);
  });
  process.stdout.write(`${told}\n`);
} catch (error) {
  if (!(error instanceof Broken)) throw error;
  process.stdout.write(`BROKEN: ${error.message}\nseed ${seed}\n`);
  process.exitCode = 1;
}
