import { Command, Option } from "commander";
import { addToolFlags } from "../tool-flags.ts";
import type { SubmitFlags } from "./flags.ts";

const EXAMPLES = `
The workload is standard input, or each argument is one. Data and results go to standard output, warnings to
standard error. Several -f submit the same workload to each of the functions.

Examples:
  drover submit -f shout hello
  drover submit -f thumbnail -u img:42 < photo.jpg > small.jpg    joins a run of img:42 where there is one
  drover submit -f mail -n -b < addresses                         a background job for each line
  drover submit -f report -b -v --at +10m monthly                 in ten minutes; prints the handle
  drover submit -f resize --json --deadline 30s img:42            every event as a line of JSON

Exit codes: 0 all done (in the background: all accepted), 1 a job failed or gave no result in time, 2 wrong
options or no server.`;

/** `drover submit`: Gearman's command line tool as a client. */
export function submitCommand(): Command {
  const command = new Command("submit")
    .summary("submit jobs and print what they give")
    .description("Submits jobs and prints what they give. Takes the switches of Gearman's command line tool.")
    .argument("[workload...]", "one job each; without any, standard input is the workload");
  addToolFlags(command, "one job for each line of standard input");
  return command
    .addOption(new Option("-b, --background", "do not wait for the jobs"))
    .addOption(new Option("-u, --unique <key>", "join the job of this key; - means the workload itself"))
    .addOption(new Option("-I, --high", "high priority"))
    .addOption(new Option("-L, --low", "low priority"))
    .addOption(new Option("-P, --prefix", "print the function's name before what it gives"))
    .addOption(new Option("-s, --silent-input", "do not read standard input: the workload is empty"))
    .addOption(new Option("-t, --timeout <ms>", "give up when nothing happens for so long"))
    .addOption(new Option("--deadline <duration>", "give up after so long in all, such as 30s"))
    .addOption(
      new Option("--at <time>", "run it then, in the background: 2026-12-24T18:00:00Z, +10m, Unix seconds"),
    )
    .addOption(new Option("--progress", "show progress on standard error, in place"))
    .addOption(new Option("--json", "print every event as a line of JSON"))
    .addOption(new Option("--concurrency <number>", "with -n: jobs under way at one time (default: 1)"))
    .addOption(new Option("-w, --worker", "be a worker, as `drover work`").hideHelp())
    .addOption(new Option("-c, --count <number>").hideHelp())
    .addHelpText("after", EXAMPLES)
    .action(async (workloads: string[], flags: SubmitFlags & { worker?: boolean }) => {
      if (flags.worker === true) {
        const { work } = await import("../work/run.ts");
        return work(workloads, flags);
      }
      const { submit } = await import("./run.ts");
      await submit(workloads, flags);
    });
}
