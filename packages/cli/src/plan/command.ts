import { Command, Option } from "commander";
import { LOG_FORMATS, UNIQUE_PARTS, UNIT_US } from "./log-formats.ts";
import type { PlanFlags } from "./run.ts";

const EXAMPLES = `
Formats (--log-format; without it the first line decides):
  csv        unique,timestamp,duration; seconds or milliseconds since 1970, or ISO 8601; duration in seconds
  apache     Common or Combined Log Format with %D (microseconds) as its last field
  apache-ms  the same with %{ms}T, apache-s with %T; both must be named
  nginx      the same with $request_time as its last field; its times say when requests ended

A run begins at the first request of a unique that has no run under way and lasts as long as that request. Requests of
the unique before its end join it. A log must be in the order of time, up to --tolerance; several files are read
one after another. gzip and zstd are unpacked.

Examples:
  drover plan access.log
  drover plan access.log.2.gz access.log.1 --unique path --workers 8
  drover plan slow.csv --svg load.svg --json
  tail -n 100000 access.log | drover plan --unique-regex '^GET (/product/[^?]*)'

Exit codes: 0 shown, 1 the log is too bad or not in order, 2 wrong options or a file that cannot be used.`;

/** `drover plan`: what a log says about the workers that it needs, with joining and without. */
export function planCommand(): Command {
  return new Command("plan")
    .summary("how many workers a log needs, with joining and without")
    .description("Computes from a log how many requests ran at one time, and how many would with joining.")
    .argument("[file...]", "logs; - or none is standard input")
    .addOption(new Option("--log-format <format>", "format of the lines").choices(Object.keys(LOG_FORMATS)))
    .addOption(
      new Option("--unit <unit>", "unit of durations, instead of the format's").choices(Object.keys(UNIT_US)),
    )
    .addOption(
      new Option(
        "--stamp <which>",
        "times say when a request began or ended, instead of the format's",
      ).choices(["begin", "end"]),
    )
    .addOption(
      new Option("--unique <part>", "of an access log: method and path, with the query (request) or without")
        .choices(UNIQUE_PARTS)
        .default("request"),
    )
    .option(
      "--unique-regex <regex>",
      "its first group, or all that it matches, is the unique; others are left out",
    )
    .option("--workers <number>", "simulate so many workers: how long requests wait")
    .option("--top <number>", "largest herds to show", "10")
    .option("--percentiles <list>", "shares of time to name the workers for", "50,90,99,99.9,100")
    .option("--tolerance <duration>", "how far a line may be out of order", "60s")
    .option("--sort", "take lines in any order; holds all of them in memory")
    .option("--max-bad <percent>", "fail when more of the lines are no requests", "5")
    .option("--plot", "draw the load over time (default: on a terminal)")
    .option("--no-plot", "do not")
    .option("--svg <file>", "write the load over time as a picture")
    .option("--json", "as JSON")
    .addHelpText("after", EXAMPLES)
    .action(async (files: string[], flags: PlanFlags) => {
      const { plan } = await import("./run.ts");
      await plan(files, flags);
    });
}
