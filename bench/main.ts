import { parseArgs } from "node:util";
import { check } from "./check.ts";
import { endOnSignals } from "./children.ts";
import { comparePlan } from "./compare.ts";
import { CURVES, curvesPlan } from "./curves.ts";
import { memoryPlan, PROBE_NAMES } from "./memory.ts";
import { type Options, runPlan, type Step } from "./plan.ts";
import { type Mode, Report, type Section, thisMachine } from "./report.ts";
import { SCENARIOS } from "./scenarios.ts";
import { droverCommand, gearmandCommands, type ServerCommand } from "./servers.ts";
import { buildGearbench, canPin, findBun, need } from "./tools.ts";

/*
 * `npm run bench`: the job server measured against stock gearmand by the neutral load generator of gearbench/.
 * A figure never makes it fail; a wrong answer does.
 */

const HELP = `Usage: npm run bench -- [part...] [options]

Parts (default: compare, memory and curves):
  compare              every scenario against gearmand's best configuration
  memory               what connections, jobs and submitters take, and what is given back
  curves               cost of a job by the number of functions, workers and queued jobs
  report               no measurement: README.md and the figures anew from results/report.json

Options:
  --quick              only check that every scenario's answers are right, in under a minute; no figures
  --rounds N           rounds of each run (compare: 7, memory and curves: 3); tables show medians
  --scenarios LIST     the only scenarios, curves or memory figures to measure, separated by spaces
  --free, --pinned     compare only in this mode: cores shared as the system likes, or one for each side (default: both)
  --seconds S          time measured in each run (3)
  --warmup S           time before it (1.5)
  --short              a tenth of the jobs, functions and idle connections
  --without-default-1m leave out 1,000,000 jobs in gearmand's default configuration, which takes minutes
  --bun                compare also with Drover run by Bun, found on the PATH or through npx
  --server NAME=CMD    compare also with this server: one process that listens on 127.0.0.1:$PORT; may be given again
  --help

What is measured replaces what results/report.json has of the same name. Exit codes: 0, 1 wrong answers,
2 wrong usage or something is missing.
`;

const PARTS = ["compare", "memory", "curves", "report"] as const;
type Part = (typeof PARTS)[number];

const SECTIONS_OF: Readonly<Record<Part, readonly Section[]>> = {
  compare: ["free", "pinned"],
  memory: ["memory"],
  curves: ["curves"],
  report: [],
};

type Values = ReturnType<typeof words>["values"];

function words() {
  return parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: "boolean", default: false },
      rounds: { type: "string" },
      scenarios: { type: "string" },
      free: { type: "boolean", default: false },
      pinned: { type: "boolean", default: false },
      seconds: { type: "string", default: "3" },
      warmup: { type: "string", default: "1.5" },
      short: { type: "boolean", default: false },
      "without-default-1m": { type: "boolean", default: false },
      bun: { type: "boolean", default: false },
      server: { type: "string", multiple: true, default: [] },
      help: { type: "boolean", default: false },
    },
  });
}

async function main(): Promise<number> {
  const { values, positionals } = words();
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const parts = partsOf(positionals);
  const options = optionsOf(values);
  const modes = modesOf(values);
  if (!parts.includes("report")) await buildGearbench();
  if (values.quick) return (await check()) === 0 ? 0 : 1;
  if (parts.includes("report")) return finish(Report.read(), 0);
  const gearmand = await gearmandCommands();
  await need("taskset", ["util-linux"]);
  const report = Report.forMachine(thisMachine(await need("gearmand", ["gearman-job-server"])));
  const steps = plan(report, parts, options, modes, values, gearmand);
  return finish(report, await runPlan(steps, report));
}

function plan(
  report: Report,
  parts: readonly Part[],
  options: Options,
  modes: readonly Mode[],
  values: Values,
  gearmand: readonly ServerCommand[],
): Step[] {
  const drover = droverCommand();
  const servers = [...gearmand, drover, ...othersOf(values)];
  const steps: Step[] = [];
  if (parts.includes("compare")) {
    for (const mode of modes) {
      const defaultOnce = mode === "free" && !values["without-default-1m"];
      steps.push(...comparePlan(report, options, { mode, servers, defaultOnce }));
    }
  }
  if (parts.includes("memory")) steps.push(...memoryPlan(options, [...gearmand, drover]));
  if (parts.includes("curves")) steps.push(...curvesPlan(options, drover));
  if (steps.length === 0) throw new Error("nothing to measure under these names in these parts");
  return steps;
}
