import { type Command, Option } from "commander";
import { IGNORED_OPTIONS, storeOfQueueType } from "../config/foreign-options.ts";
import type { ConfigInputs } from "../config/resolve.ts";
import { attributeOf, SERVER_OPTIONS } from "../config/server-options.ts";
import { UsageError } from "../errors.ts";

const REPEATABLE: ReadonlySet<string> = new Set(["listen", "http", "tls", "https", "peers"]);

/** The options that drover.yaml knows as well. */
export function addServerOptions(command: Command): void {
  for (const option of SERVER_OPTIONS) {
    const added = new Option(option.flags, option.help).helpGroup(`${option.group}:`);
    if (REPEATABLE.has(option.key)) added.argParser(collect);
    command.addOption(added);
  }
}

/** Flags by the option's key, as the configuration takes them. */
export function serveInputs(
  values: Readonly<Record<string, unknown>>,
  files: readonly string[] = [],
): ConfigInputs {
  const flags = new Map<string, unknown>();
  for (const option of SERVER_OPTIONS) {
    const value = values[attributeOf(option)];
    if (value !== undefined) flags.set(option.key, value);
  }
  if (values.queueType !== undefined && values.store === undefined) {
    const meant = storeOfQueueType(
      String(values.queueType),
      (name) => values[camel(name)] as string | undefined,
    );
    if ("problem" in meant) throw new UsageError("OPTION_REFUSED", meant.problem);
    flags.set("store", meant.store);
  }
  const keyValueFiles = [...((values.configFile as string[] | undefined) ?? [])];
  for (const name of files) {
    if (!name.startsWith("@")) {
      throw new UsageError(
        "OPTION_INVALID",
        `drover serve takes options only, and ${JSON.stringify(name)} is none`,
      );
    }
    keyValueFiles.push(name.slice(1));
  }
  const given = [...IGNORED_OPTIONS].filter(([name]) => values[camel(name)] !== undefined);
  return {
    flags,
    environment: process.env,
    configFile: values.config as string | undefined,
    keyValueFiles,
    ignored: given.map(([name, { why }]) => `--${name}: ${why}`),
  };
}

export function camel(name: string): string {
  return name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** Gathers the values of an option that may be given several times. */
export function collect(value: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), value];
}
