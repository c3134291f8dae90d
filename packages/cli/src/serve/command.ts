import { Command, Option } from "commander";
import { IGNORED_OPTIONS, QUEUE_OPTIONS, REFUSED_OPTIONS } from "../config/foreign-options.ts";
import { EXIT, UsageError } from "../errors.ts";
import { VERSION } from "../version.ts";
import { addServerOptions, camel, collect, serveInputs } from "./flags.ts";

const EXAMPLES = `
Examples:
  drover serve                                  on localhost:4730
  drover serve -p 0 --ready-file /tmp/ready     on a free port, told by the file
  drover serve -L unix:/run/drover.sock -L localhost:4730
  drover serve --store sqlite:/var/lib/drover/jobs.db
  drover serve -d -P /run/drover.pid -l /var/log/drover.log -u drover

Every option may stand in drover.yaml (job-retries is server.jobRetries) and in the environment
(DROVER_JOB_RETRIES; --verbose is DROVER_LOG_LEVEL). Flags win over the environment, which wins over files.

Signals: TERM and INT stop after --grace, a second one at once; USR1 waits until no job is left;
USR2 hands over to a new process without refusing a connection;
HUP opens the log file anew and reads the settings of functions and the schedules again.

Exit codes: 0 stopped as asked, 1 failed or stopped at once, 2 wrong options, address or store not to be had.`;

/** `drover serve`, with gearmand's options. */
export function serveCommand(): Command {
  const command = new Command("serve")
    .summary("run a job server, a drop-in for gearmand")
    .description("Runs a job server. Takes gearmand's options.")
    .argument("[@file...]", "gearmand's configuration files, as with --config-file")
    .version(VERSION, "-V, --version", "print the version");
  addServerOptions(command);
  command
    .addOption(
      new Option(
        "-q, --queue-type <type>",
        "as gearmand: builtin, libsqlite3 or postgres; see --store",
      ).hideHelp(),
    )
    .option("-d, --daemon", "detach and run in the background, once it listens")
    .option("--check-args", "check options and configuration, then exit with 0 or 1")
    .option("--config <file>", "drover.yaml (default: DROVER_CONFIG, else ./drover.yaml where there is one)")
    .option("--config-file <file>", "gearmand's configuration file; may be given several times", collect);
  for (const { flags, why } of IGNORED_OPTIONS.values()) {
    command.addOption(new Option(flags, `no effect: ${why}`).hideHelp());
  }
  for (const { flags } of [...REFUSED_OPTIONS.values(), ...QUEUE_OPTIONS.values()]) {
    command.addOption(new Option(flags).hideHelp());
  }
  command.addHelpText("after", EXAMPLES);
  command.action(async (files: string[], values: Record<string, unknown>) => {
    refuse(values);
    const inputs = serveInputs(values, files);
    const { checkServe, serve } = await import("./run.ts");
    if (values.checkArgs === true) {
      const { resolveConfig } = await import("../config/resolve.ts");
      await checkServe(resolveConfig(inputs));
      process.exitCode = EXIT.ok;
      return;
    }
    const { detach, isDetached, tellParent } = await import("./daemon.ts");
    if (values.daemon === true && !isDetached()) return detach(inputs);
    await serve({ inputs, onReady: tellParent });
  });
  return command;
}

function refuse(values: Readonly<Record<string, unknown>>): void {
  for (const [name, { remedy }] of REFUSED_OPTIONS) {
    if (values[camel(name)] !== undefined) throw new UsageError("OPTION_REFUSED", `--${name}: ${remedy}`);
  }
}
