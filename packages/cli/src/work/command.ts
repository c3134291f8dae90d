import { Command, Option } from "commander";
import { addToolFlags } from "../tool-flags.ts";
import type { WorkFlags } from "./run.ts";

const EXAMPLES = `
The command gets the workload on standard input, and what it prints is the result. Another exit code than 0 fails
the job. In its environment are DROVER_FUNCTION, DROVER_HANDLE, DROVER_UNIQUE and DROVER_ATTEMPT. Without a
command, workloads are printed and results are empty.

Examples:
  drover work -f shout -- tr a-z A-Z
  drover work -f thumbnail --concurrency 4 -- convert - -resize 200x200 -
  drover work -f tail -n -- sh -c 'tail -n 20 "$(cat)"'       sends each line at once, as partial data
  drover work -f log -c 10                                    prints the workloads of ten jobs, then ends

TERM and INT finish the jobs that run and take no more; a second signal ends at once.

Exit codes: 0 drained or --count reached, 2 wrong options. A job that fails does not end the worker.`;

/** `drover work`: Gearman's command line tool as a worker. */
export function workCommand(): Command {
  const command = new Command("work")
    .summary("run a command for each job of a function")
    .description("Runs a command for each job. Takes the switches of Gearman's command line tool.")
    .argument("[command...]", "command and its arguments")
    .passThroughOptions();
  addToolFlags(command, "send each line that the command prints at once, as partial data");
  return command
    .addOption(new Option("-c, --count <number>", "end after so many jobs"))
    .addOption(new Option("-t, --timeout <ms>", "how long a server may take to answer when connecting"))
    .addOption(new Option("--concurrency <number>", "jobs at one time (default: 1)"))
    .addOption(new Option("--job-timeout <duration>", "end a job that takes longer, such as 5m"))
    .addOption(new Option("--client-id <name>", "name under which administrators see this worker"))
    .addOption(new Option("-w, --worker", "as Gearman's tool has it; no effect").hideHelp())
    .addHelpText("after", EXAMPLES)
    .action(async (words: string[], flags: WorkFlags) => {
      const { work } = await import("./run.ts");
      await work(words, flags);
    });
}
