import { Command, Option } from "commander";
import { addServerAddress, type ServerFlags, serverTarget } from "../server-address.ts";
import type { AdminContext } from "./show.ts";

const EXAMPLES = `
Examples:
  drover admin --status                         as gearadmin: NAME, total, running, workers
  drover admin --getpid --server-version
  drover admin --cancel-job H:web1:1795418175806000
  drover admin jobs resize                      what waits and runs, with age, attempts and submissions
  drover admin pause resize                     give its jobs to nobody, until: drover admin resume resize
  drover admin max-queue resize 1000
  drover deadletters list

Names are escaped on a terminal and stand byte for byte in a pipe or file, as gearadmin prints them.

Exit codes: 0 done, 1 the server refused, 2 wrong options or no server.`;

/** gearadmin's options, in the order in which it carries them out. */
const OPERATIONS: readonly { readonly flags: string; readonly help: string; readonly hidden?: boolean }[] = [
  { flags: "--getpid", help: "the server's process id" },
  { flags: "--create-function <name>", help: "make a function known" },
  { flags: "--drop-function <name>", help: "forget a function that nobody uses" },
  { flags: "--cancel-job <handle>", help: "cancel a job" },
  { flags: "--show-jobs", help: "handle, restarts, ignored, persisted of every job" },
  { flags: "--show-unique-jobs", help: "unique of every job" },
  { flags: "--server-verbose", help: "the server's log level" },
  { flags: "--server-version", help: "the server's version" },
  { flags: "--workers", help: "connections and their functions" },
  { flags: "--priority-status", help: "name, high, normal, low, workers of every function" },
  { flags: "--status", help: "name, total, running, workers of every function" },
  { flags: "--shutdown [graceful]", help: "end the server, if it was started with --allow-shutdown" },
];

/** `drover admin`: gearadmin, and what Drover has beyond it. */
export function adminCommand(): Command {
  const admin = new Command("admin")
    .summary("give orders to a server, as gearadmin and beyond")
    .description(
      "Looks into a job server and gives orders. Takes gearadmin's options, and commands of Drover's own.",
    );
  addServerAddress(admin);
  for (const { flags, help } of OPERATIONS) {
    admin.addOption(new Option(flags, help).helpGroup("As gearadmin:"));
  }
  admin.addOption(new Option("-S, --ssl").hideHelp());
  admin.addHelpText("after", EXAMPLES);
  admin.action(async (values: Record<string, unknown>, command: Command) => {
    const { runOperations } = await import("./operations.ts");
    await runOperations(serverTarget(values as ServerFlags), values, () => command.helpInformation());
  });

  json(sub(admin, "jobs", "Lists jobs: state, age, attempts, submissions."))
    .argument("[function]", "of this function only")
    .option("--limit <number>", "at most so many", "1000")
    .action(async (name: string | undefined, _values, command: Command) => {
      const { showJobs } = await import("./show.ts");
      await showJobs(context(command), name);
    });
  json(sub(admin, "functions", "Lists functions with their counts since the start.")).action(
    async (_values, command: Command) => {
      const { showFunctions } = await import("./show.ts");
      await showFunctions(context(command));
    },
  );
  json(sub(admin, "counts", "Totals since the start, and levels now.")).action(
    async (_values, command: Command) => {
      const { showCounts } = await import("./show.ts");
      await showCounts(context(command));
    },
  );
  for (const verb of ["pause", "resume"] as const) {
    const what = verb === "pause" ? "Gives a function's jobs to nobody." : "Ends a pause.";
    sub(admin, verb, what)
      .argument("<function>")
      .action(async (name: string, _values, command: Command) => {
        const { order } = await import("./operations.ts");
        await order(context(command).server, [verb, "function", name]);
      });
  }
  sub(admin, "max-queue", "Sets the most jobs that a function may hold, or with no number the default again.")
    .argument("<function>")
    .argument("[numbers...]", "one for all priorities, or three for high, normal and low; 0 = no limit")
    .action(async (name: string, numbers: string[], _values, command: Command) => {
      const { setMaxQueue } = await import("./operations.ts");
      await setMaxQueue(context(command).server, name, numbers);
    });
  sub(admin, "cancel", "Cancels a job, waiting or running.")
    .argument("<handle>")
    .action(async (handle: string, _values, command: Command) => {
      const { order } = await import("./operations.ts");
      await order(context(command).server, ["cancel", "job", handle]);
    });

  admin.addCommand(deadLettersCommand());
  return admin;
}

/** `drover deadletters`, and `drover admin deadletters`. */
export function deadLettersCommand(): Command {
  const letters = new Command("deadletters").description(
    "Background jobs whose attempts are spent: list, show, requeue, delete.",
  );
  json(sub(letters, "list", "Lists dead letters."))
    .option("--limit <number>", "at most so many", "1000")
    .action(async (_values, command: Command) => {
      const { showDeadLetters } = await import("./show.ts");
      await showDeadLetters(context(command));
    });
  sub(letters, "show", "Shows a dead letter with its workload.")
    .argument("<handle>")
    .action(async (handle: string, _values, command: Command) => {
      const { showDeadLetter } = await import("./show.ts");
      await showDeadLetter(context(command), handle);
    });
  for (const verb of ["requeue", "delete"] as const) {
    sub(letters, verb, verb === "requeue" ? "Queues a dead letter again." : "Deletes a dead letter.")
      .argument("<handle>")
      .action(async (handle: string, _values, command: Command) => {
        const { order } = await import("./operations.ts");
        await order(context(command).server, ["deadletter", verb, handle]);
      });
  }
  return letters;
}

function sub(parent: Command, name: string, description: string): Command {
  const command = new Command(name).description(description);
  addServerAddress(command);
  parent.addCommand(command);
  return command;
}

function json(command: Command): Command {
  return command.option("--json", "as JSON");
}

function context(command: Command): AdminContext {
  const values = command.optsWithGlobals<ServerFlags & { json?: boolean; limit?: string }>();
  return { server: serverTarget(values), json: values.json === true, limit: Number(values.limit ?? 1000) };
}
