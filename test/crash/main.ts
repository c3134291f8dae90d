import { parseArgs } from "node:util";
import { buildGearbench } from "../../bench/tools.ts";
import { Broken, type Totals } from "./books.ts";
import { playCrashes } from "./play.ts";

const USAGE = `Usage: npm run crash -- [options]

Starts \`drover serve --store sqlite:…\` under load, kills it at a random moment, starts it again, and so on; then checks that
every acknowledged job ran, that none ran more often than the kills explain, and that the dead letters add up.

  --rounds N   kills (default: 500)
  --seed S     of the moments (default: from the clock)

Exit codes: 0 nothing was lost, 1 something was.
`;

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "500" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    help: { type: "boolean", short: "h", default: false },
  },
});
const rounds = Number(values.rounds);
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

const began = performance.now();
let lastShown = began;
try {
  const totals = await playCrashes({
    rounds,
    seed,
    generator: await buildGearbench(),
    progress: (round, so) => {
      const now = performance.now();
      if (now - lastShown < 5000 && round < rounds) return;
      lastShown = now;
      process.stdout.write(
        `${round} of ${rounds} kills, ${((now - began) / 1000).toFixed(0)} s: ${shown(so)}\n`,
      );
    },
  });
  process.stdout.write(`${totals.kills} kills, seed ${seed}: nothing was lost; ${shown(totals)}\n`);
} catch (error) {
  if (!(error instanceof Broken)) throw error;
  process.stdout.write(`BROKEN: ${error.message}\nseed ${seed}\n`);
  process.exitCode = 1;
}
