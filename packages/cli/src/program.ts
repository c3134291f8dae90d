import { Command, CommanderError } from "commander";
import { ConfigError } from "./config/problem.ts";
import { CommandFailed, EXIT, UsageError } from "./errors.ts";
import { serveCommand } from "./serve/command.ts";
import { VERSION } from "./version.ts";

/** The whole command line. */
export function droverProgram(): Command {
  const program = new Command("drover")
    .description("A job server that turns a herd of identical demands into one piece of work.")
    .version(VERSION, "-V, --version", "print the version")
    .helpCommand("help [command]", "show the help of a command");
  program.addCommand(serveCommand());
  for (const command of [program, ...program.commands]) command.exitOverride();
  return program;
}

/** Runs one command line. Returns when the command is done; the exit code is set. */
export async function run(args: readonly string[]): Promise<void> {
  try {
    await droverProgram().parseAsync(args, { from: "user" });
  } catch (error) {
    process.exitCode = exitCodeOf(error);
    if (args[0] === "serve" && args.includes("--check-args") && process.exitCode !== EXIT.ok) {
      // As gearmand, whose init scripts know 0 and 1 only.
      process.exitCode = EXIT.failed;
    }
  }
}

/** Says what went wrong, where nobody has yet. */
function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (error instanceof ConfigError) {
    for (const { where, message } of error.problems) process.stderr.write(`drover: ${where}: ${message}\n`);
    return EXIT.usage;
  }
  if (error instanceof UsageError || error instanceof CommandFailed) {
    process.stderr.write(`drover: ${error.message}\n`);
    return error instanceof UsageError ? EXIT.usage : EXIT.failed;
  }
  process.stderr.write(`drover: this is a bug: ${(error as Error).stack ?? error}\n`);
  return EXIT.failed;
}
