import { type Command, Option } from "commander";
import { UsageError } from "./errors.ts";
import { addServerAddress, type ServerFlags } from "./server-address.ts";

/* The switches that Gearman's command line tool has for its client and its worker alike. */

export interface ToolFlags extends ServerFlags {
  readonly function?: readonly string[];
  readonly timeout?: string;
  readonly pidFile?: string;
  readonly verbose?: boolean;
  readonly ssl?: boolean;
  readonly lines?: boolean;
  readonly strippedLines?: boolean;
}

export function addToolFlags(command: Command, perLine: string): Command {
  addServerAddress(command);
  return command
    .addOption(
      new Option("-f, --function <name>", "function; may be given several times").argParser(
        (name: string, before: readonly string[] | undefined) => [...(before ?? []), name],
      ),
    )
    .addOption(new Option("-n, --lines", perLine))
    .addOption(new Option("-N, --stripped-lines", "the same, without the line feeds"))
    .addOption(new Option("-i, --pid-file <file>", "write the process id here"))
    .addOption(new Option("-v, --verbose", "say what happens"))
    .addOption(new Option("-S, --ssl").hideHelp());
}

/** The functions named; there must be one. @throws UsageError */
export function functionsOf(flags: ToolFlags): readonly string[] {
  if (flags.ssl === true) {
    throw new UsageError("OPTION_REFUSED", "-S: name the server as tls://HOST:PORT instead");
  }
  if (flags.function === undefined) {
    throw new UsageError("OPTION_INVALID", "name a function with -f");
  }
  return flags.function;
}
