import { existsSync, readFileSync } from "node:fs";
import type { FunctionRule, IdentityRules, Schedule } from "@drover/server";
import { IGNORED_OPTIONS, QUEUE_OPTIONS, REFUSED_OPTIONS, storeOfQueueType } from "./foreign-options.ts";
import { functionRules } from "./function-rules.ts";
import { hasGateRoles, identityRules } from "./identity-rules.ts";
import { readKeyValueFile } from "./key-value-file.ts";
import { nearest, suggestion } from "./nearest.ts";
import { type ConfigEntry, ConfigError, type ConfigProblem } from "./problem.ts";
import { type LimitsConfig, optionSchema, type ScheduleConfig, type ServerConfig } from "./schema.ts";
import { environmentName, longName, SERVER_OPTIONS, takesValue } from "./server-options.ts";
import { type ConfigFile, readConfigFile } from "./yaml-file.ts";

export interface ConfigInputs {
  /** Values of flags by the option's key. */
  readonly flags: ReadonlyMap<string, unknown>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** drover.yaml. Default: `DROVER_CONFIG`, else drover.yaml in the current folder where there is one. */
  readonly configFile?: string | undefined;
  /** gearmand's own configuration files. */
  readonly keyValueFiles?: readonly string[];
  /** Flags of gearmand that were given and have no effect. */
  readonly ignored?: readonly string[];
}

/** The configuration in force, and where each value came from. */
export interface ResolvedConfig {
  readonly server: ServerConfig;
  readonly limits: LimitsConfig;
  /** Where each option was given, by its key. */
  readonly sources: ReadonlyMap<string, string>;
  readonly rules: readonly FunctionRule[];
  readonly schedules: readonly Schedule[];
  /** Who may do what; undefined: everybody everything. */
  readonly identities: IdentityRules | undefined;
  /** Whether builds and merges of a gate elsewhere come by this server: an identity has a role there. */
  readonly carriesGate: boolean;
  /** The drover.yaml that was read. */
  readonly file: string | undefined;
  readonly contents: ConfigFile | undefined;
  /** Options of gearmand that were given and have no effect, with the reason. */
  readonly ignored: readonly string[];
  /** What is probably not meant as it stands. */
  readonly warnings: readonly string[];
}

const DEFAULT_FILE = "drover.yaml";
const PREFIX = "DROVER_";

/**
 * Flags over environment over gearmand's files over drover.yaml.
 * @throws ConfigError with everything that is wrong.
 */
export function resolveConfig(inputs: ConfigInputs): ResolvedConfig {
  const problems: ConfigProblem[] = [];
  const ignored = [...(inputs.ignored ?? [])];
  const warnings: string[] = [];
  const layers: (readonly ConfigEntry[])[] = [
    flagEntries(inputs.flags),
    environmentEntries(inputs.environment, warnings),
    (inputs.keyValueFiles ?? []).flatMap((name) => keyValueEntries(name, problems, ignored)),
  ];
  const file = configFileName(inputs);
  let contents: ConfigFile | undefined;
  if (file !== undefined) {
    const text = readText(file, problems);
    if (text !== undefined) {
      contents = readConfigFile(text, file);
      problems.push(...contents.problems);
      layers.push(contents.entries);
    }
  }
  const gearmandPort = inputs.environment.GEARMAND_PORT;
  if (gearmandPort !== undefined && gearmandPort !== "") {
    layers.push([{ key: "port", value: gearmandPort, where: "GEARMAND_PORT" }]);
  }

  const server: Record<string, unknown> = {};
  const limits: Record<string, unknown> = {};
  const sources = new Map<string, string>();
  for (const { key, value, where } of layers.flat()) {
    const parsed = optionSchema(key).safeParse(value);
    if (!parsed.success) problems.push({ where, message: parsed.error.issues[0]!.message });
    else if (!sources.has(key)) {
      sources.set(key, where);
      if (key.startsWith("limits.")) limits[key.slice("limits.".length)] = parsed.data;
      else server[key] = parsed.data;
    }
  }
  if (problems.length > 0) throw new ConfigError(problems);
  const rules = functionRules(contents?.globs ?? [], contents?.config.functions ?? {});
  const schedules = schedulesOf(contents?.config.schedules ?? {});
  const auth = contents?.config.auth;
  const identities = auth === undefined ? undefined : identityRules(auth);
  const carriesGate = auth !== undefined && hasGateRoles(auth);
  return {
    server,
    limits,
    sources,
    rules,
    schedules,
    identities,
    carriesGate,
    file,
    contents,
    ignored,
    warnings,
  };
}

const PRIORITIES = { high: 0, normal: 1, low: 2 } as const;

function schedulesOf(config: Readonly<Record<string, ScheduleConfig>>): Schedule[] {
  return Object.entries(config).map(([name, { priority = "normal", ...rest }]) => ({
    name,
    ...rest,
    priority: PRIORITIES[priority],
  }));
}

/** The drover.yaml that these inputs lead to. */
export function configFileName(inputs: Pick<ConfigInputs, "configFile" | "environment">): string | undefined {
  const named = inputs.configFile ?? inputs.environment.DROVER_CONFIG;
  if (named !== undefined && named !== "") return named;
  return existsSync(DEFAULT_FILE) ? DEFAULT_FILE : undefined;
}

function readText(name: string, problems: ConfigProblem[]): string | undefined {
  try {
    return readFileSync(name, "utf8");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    problems.push({ where: name, message: `cannot be read (${code ?? message})` });
    return undefined;
  }
}

function flagEntries(flags: ReadonlyMap<string, unknown>): ConfigEntry[] {
  const entries: ConfigEntry[] = [];
  for (const option of SERVER_OPTIONS) {
    const value = flags.get(option.key);
    if (value !== undefined) entries.push({ key: option.key, value, where: `--${longName(option)}` });
  }
  return entries;
}

function environmentEntries(
  environment: Readonly<Record<string, string | undefined>>,
  warnings: string[],
): ConfigEntry[] {
  const names = new Map(SERVER_OPTIONS.map((option) => [environmentName(option), option.key]));
  const others = new Set([
    "DROVER_CONFIG",
    "DROVER_SERVER",
    "DROVER_TOKEN",
    "DROVER_DETACHED",
    "DROVER_GATE",
    "DROVER_GATE_TOKEN",
  ]);
  const entries: ConfigEntry[] = [];
  for (const [name, value] of Object.entries(environment)) {
    if (value === undefined || value === "") continue;
    const key = names.get(name);
    if (key !== undefined) entries.push({ key, value, where: name });
    else if (name.startsWith(PREFIX) && !others.has(name)) {
      // Another program's variable may have such a name, so that a slip of the pen is worth no more than a warning.
      const known = [...names.keys(), ...others].map((one) => one.slice(PREFIX.length));
      const meant = nearest(name.slice(PREFIX.length), known);
      if (meant !== undefined) warnings.push(`unknown variable ${name}; did you mean ${PREFIX}${meant}?`);
    }
  }
  return entries;
}

function keyValueEntries(fileName: string, problems: ConfigProblem[], ignored: string[]): ConfigEntry[] {
  const text = readText(fileName, problems);
  if (text === undefined) return [];
  const file = readKeyValueFile(text, fileName);
  problems.push(...file.problems);
  const options = new Map(SERVER_OPTIONS.map((option) => [longName(option), option]));
  const entries: ConfigEntry[] = [];
  for (const { name, value, where } of file.options) {
    const option = options.get(name);
    const unused = IGNORED_OPTIONS.get(name);
    const refused = REFUSED_OPTIONS.get(name);
    if (option !== undefined) {
      // Switches need no value in gearmand's files.
      const given = value === "" && !takesValue(option) ? true : value;
      entries.push({ key: option.key, value: given, where });
    } else if (name === "queue-type") {
      const meant = storeOfQueueType(value, (other) => file.options.find((one) => one.name === other)?.value);
      if ("problem" in meant) problems.push({ where, message: meant.problem });
      else entries.push({ key: "store", value: meant.store, where });
    } else if (QUEUE_OPTIONS.has(name)) {
      // Read with the queue type.
    } else if (unused !== undefined) {
      ignored.push(`${name}: ${unused.why}`);
    } else if (refused !== undefined) {
      problems.push({ where, message: `${name}: ${refused.remedy}` });
    } else {
      const known = [...options.keys(), ...IGNORED_OPTIONS.keys(), ...QUEUE_OPTIONS.keys(), "queue-type"];
      problems.push({
        where,
        message: `unknown option ${JSON.stringify(name)}${suggestion(name, known)}`,
      });
    }
  }
  return entries;
}
