import { TransportError } from "@drover/transport";
import { Command, CommanderError } from "commander";
import { adminCommand, deadLettersCommand } from "./admin/command.ts";
import { backupCommand, importCommand, restoreCommand } from "./backup/command.ts";
import { completionCommand } from "./completion/command.ts";
import { configCommand } from "./config/command.ts";
import { suggestion } from "./config/nearest.ts";
import { ConfigError } from "./config/problem.ts";
import { demoCommand } from "./demo/command.ts";
import { drillCommand } from "./drill/command.ts";
import { CommandFailed, EXIT, UsageError } from "./errors.ts";
import { gateCommand } from "./gate/command.ts";
import { planCommand } from "./plan/command.ts";
import { serveCommand } from "./serve/command.ts";
import { statusCommand } from "./status/command.ts";
import { submitCommand } from "./submit/command.ts";
import { tokenCommand } from "./token/command.ts";
import { topCommand } from "./top/command.ts";
import { upCommand } from "./up/command.ts";
import { VERSION } from "./version.ts";
import { workCommand } from "./work/command.ts";
import { yamlArguments, yamlCommand } from "./yaml/command.ts";

/** The whole command line. */
export function droverProgram(): Command {
  const program = new Command("drover")
    .description("A job server that turns a herd of identical demands into one piece of work.")
    .version(VERSION, "-V, --version", "print the version")
    .helpCommand("help [command]", "show the help of a command")
    .enablePositionalOptions();
  const commands = [
    upCommand(),
    serveCommand(),
    demoCommand(),
    submitCommand(),
    workCommand(),
    statusCommand(),
    topCommand(),
    planCommand(),
    adminCommand(),
    deadLettersCommand(),
    tokenCommand(),
    backupCommand(),
    restoreCommand(),
    importCommand(),
    drillCommand(),
    gateCommand(),
    yamlCommand(),
    configCommand(),
    completionCommand(() => program),
  ];
  for (const command of commands) program.addCommand(command);
  prepare(program);
  return program;
}

function prepare(command: Command): void {
  command
    .exitOverride()
    .configureHelp({ subcommandTerm: (sub) => sub.name() })
    .configureOutput({ outputError: (text, write) => write(complaint(text)) });
  if (command.summary() === "") command.summary(command.description());
  if (command.commands.length > 0 && command.parent !== null && command.registeredArguments.length === 0) {
    // A command of its own that has commands below it takes no other words.
    command.allowExcessArguments().hook("preAction", (_, acting) => {
      const word = command.args[0];
      if (acting !== command || word === undefined) return;
      const known = command.commands.map((sub) => sub.name());
      throw new UsageError(
        "OPTION_INVALID",
        `${command.name()} has no command ${JSON.stringify(word)}${suggestion(word, known)}`,
      );
    });
  }
  for (const sub of command.commands) prepare(sub);
}

/** The argument parser's complaint in the form of all others. */
function complaint(text: string): string {
  return text.replace(/^error: /, "drover: ").replace(/\n\(Did you mean (.*)\?\)\n$/, "; did you mean $1?\n");
}

/** Runs one command line. Returns when the command is done; the exit code is set. */
export async function run(args: readonly string[]): Promise<void> {
  try {
    await droverProgram().parseAsync(yamlArguments(args), { from: "user" });
  } catch (error) {
    process.exitCode = exitCodeOf(error);
    if (args[0] === "serve" && args.includes("--check-args") && process.exitCode !== EXIT.ok) {
      // As gearmand, whose init scripts know 0 and 1 only.
      process.exitCode = EXIT.failed;
    }
  }
}

/** A `StoreError` of the server's package, which most commands do without. */
function isStoreError(error: unknown): error is Error {
  return error instanceof Error && error.name === "StoreError";
}

const GATE_ERRORS = new Set([
  "GateError",
  "GateStoreError",
  "GitError",
  "ForgeError",
  "ExecutorError",
  "RemoteError",
  "HistoryError",
  "TrialError",
]);

/** What the gate's package cannot do, which other commands do without. */
function isGateError(error: unknown): error is Error {
  return error instanceof Error && GATE_ERRORS.has(error.name);
}

/** Likewise an `AuthError`. */
function isAuthError(error: unknown): error is Error {
  return error instanceof Error && error.name === "AuthError";
}

/** What `drover yaml` cannot do. */
function isYamlError(error: unknown): error is Error {
  return error instanceof Error && error.name === "ShyamlError";
}

/** Says what went wrong, where nobody has yet. */
function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (
    error instanceof ConfigError ||
    error instanceof UsageError ||
    error instanceof TransportError ||
    isStoreError(error) ||
    isAuthError(error) ||
    isGateError(error) ||
    isYamlError(error) ||
    error instanceof CommandFailed
  ) {
    for (const line of error.message.split("\n")) process.stderr.write(`drover: ${line}\n`);
    const failed = error instanceof ConfigError ? error.isAnswer : error instanceof CommandFailed;
    return failed ? EXIT.failed : EXIT.usage;
  }
  process.stderr.write(`drover: this is a bug: ${(error as Error).stack ?? error}\n`);
  return EXIT.failed;
}
