import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { type Command, InvalidArgumentError, Option } from "commander";
import { loadDocuments } from "../document/load.ts";
import { type DataNode, placeOf, type Source } from "../document/node.ts";
import { ShyamlError } from "../errors.ts";
import { DEFAULT_LIMITS, type Limits } from "../limits.ts";
import { plainValue } from "../render/build.ts";
import { readInput } from "./input.ts";

/** How differences can be written. Each of one word that kubectl passes on. */
export const FORMATS = ["terminal", "json", "json-patch", "markdown", "github", "gitlab", "azure"] as const;
export type Format = (typeof FORMATS)[number];

/** What `diff` and its like may be told, by flags over a file. */
export interface Settings {
  readonly output: Format;
  readonly comments: boolean;
  readonly ignoreOrder: boolean;
  readonly quantities: boolean;
  readonly yaml11: boolean;
  readonly identifiers: readonly string[];
  /** Files with CustomResourceDefinitions or OpenAPI schemas. */
  readonly schemas: readonly string[];
  readonly color: "auto" | "always" | "never";
  readonly width: number | undefined;
  readonly exitZero: boolean;
  readonly showSecrets: boolean;
  readonly maxLines: number;
  readonly maxChars: number;
  readonly limits: Limits;
  /** What `ignore` in the file holds, unread. */
  readonly ignore: { readonly node: DataNode; readonly source: Source } | undefined;
}

/** What a file may set. Secrets are shown by a flag alone, so that a repository cannot ask for it. */
const FILE_KEYS = [
  "output",
  "comments",
  "ignoreOrder",
  "quantities",
  "yaml11",
  "identifiers",
  "schemas",
  "ignore",
];
const CONFIG_FILE = ".shyaml.yml";
/** The default of `--max-chars`: what GitHub takes as one comment. */
export const MAX_COMMENT_CHARS = 65_536;

/** Adds the flags of `diff` and `git-diff`. */
export function addDiffFlags(command: Command): Command {
  command
    .option("--comments", "compare comments as well")
    .option("--quantities", "compare quantities by what they are worth (1000m is 1), where the kind has one")
    .option("--yaml11", "read as YAML 1.1, as Kubernetes does: yes and on are true");
  return addReportFlags(command, FORMATS);
}

/** Adds the flags that `diff` and `kubediff` have in common. */
export function addReportFlags(command: Command, formats: readonly Format[]): Command {
  return command
    .addOption(new Option("-o, --output <format>", "how to write the differences").choices(formats))
    .option("--ignore-order", "the order of lists means nothing")
    .option("--identifier <field>", "a field that tells items of a list apart; may be repeated", collect)
    .option("--schema <file>", "CustomResourceDefinitions or an OpenAPI file; may be repeated", collect)
    .option("--show-secrets", "show what Secrets hold")
    .option("--exit-zero", "exit with 0 when there are differences as well")
    .addOption(new Option("--color <when>", "auto, always or never").choices(["auto", "always", "never"]))
    .option("--width <columns>", "wrap at so many columns; 0 never", count)
    .option("--max-lines <n>", "lines shown of one value; 0 shows all", count)
    .option("--max-chars <n>", `of markdown (default: ${MAX_COMMENT_CHARS})`, count)
    .option("--max-mib <n>", `of one input (default: ${DEFAULT_LIMITS.maxInputBytes / 1024 / 1024})`, count)
    .option("--config <file>", `settings (default: ${CONFIG_FILE} here or above, or $SHYAML_CONFIG)`);
}

function collect(value: string, known: readonly string[] = []): string[] {
  return [...known, value];
}

function count(value: string): number {
  if (!/^[0-9]{1,9}$/.test(value)) throw new InvalidArgumentError("It has to be a whole number.");
  return Number(value);
}

interface Flags {
  readonly output?: Format;
  readonly comments?: boolean;
  readonly ignoreOrder?: boolean;
  readonly quantities?: boolean;
  readonly yaml11?: boolean;
  readonly identifier?: readonly string[];
  readonly schema?: readonly string[];
  readonly color?: Settings["color"];
  readonly width?: number;
  readonly exitZero?: boolean;
  readonly showSecrets?: boolean;
  readonly maxLines?: number;
  readonly maxChars?: number;
  readonly maxMib?: number;
  readonly config?: string;
}

/**
 * Flags over the file of settings over defaults.
 * @throws ShyamlError `SETTING_INVALID` with the place in the file.
 */
export function readSettings(given: object, env: NodeJS.ProcessEnv = process.env): Settings {
  const flags = given as Flags;
  const path = flags.config ?? env.SHYAML_CONFIG ?? findConfig(process.cwd());
  const file = path === undefined ? {} : readConfig(path);
  const maxInputBytes =
    flags.maxMib === undefined ? DEFAULT_LIMITS.maxInputBytes : flags.maxMib * 1024 * 1024;
  return {
    output: flags.output ?? file.output ?? "terminal",
    comments: flags.comments ?? file.comments ?? false,
    ignoreOrder: flags.ignoreOrder ?? file.ignoreOrder ?? false,
    quantities: flags.quantities ?? file.quantities ?? false,
    yaml11: flags.yaml11 ?? file.yaml11 ?? false,
    identifiers: flags.identifier ?? file.identifiers ?? [],
    schemas: flags.schema ?? file.schemas ?? [],
    color: flags.color ?? "auto",
    width: flags.width,
    exitZero: flags.exitZero ?? false,
    showSecrets: flags.showSecrets ?? false,
    maxLines: flags.maxLines ?? 0,
    maxChars: flags.maxChars ?? MAX_COMMENT_CHARS,
    limits: { ...DEFAULT_LIMITS, maxInputBytes },
    ignore: file.ignore,
  };
}

/** The nearest file of settings, up to the root of the repository. */
function findConfig(from: string): string | undefined {
  for (let folder = resolve(from); ; folder = dirname(folder)) {
    const path = join(folder, CONFIG_FILE);
    if (existsSync(path)) return path;
    if (existsSync(join(folder, ".git")) || dirname(folder) === folder) return undefined;
  }
}

interface FileSettings {
  output?: Format;
  comments?: boolean;
  ignoreOrder?: boolean;
  quantities?: boolean;
  yaml11?: boolean;
  identifiers?: string[];
  schemas?: string[];
  ignore?: { node: DataNode; source: Source };
}

function readConfig(path: string): FileSettings {
  const [input] = readInput(path).files;
  if (input === undefined) throw new ShyamlError("SETTING_INVALID", `${path} is no file of settings`);
  const { documents, source } = loadDocuments(input.text, { name: path });
  const root = documents[0]?.root;
  if (root === undefined || documents[0]!.isEmpty) return {};
  const refuse = (node: DataNode, detail: string): never => {
    throw new ShyamlError("SETTING_INVALID", detail, placeOf(source, node.start));
  };
  if (root.kind !== "map" || documents.length > 1) return refuse(root, "settings are one mapping");
  const settings: Record<string, unknown> = {};
  for (const { key, node } of root.entries) {
    const name = key.kind === "scalar" ? key.text : "";
    if (!FILE_KEYS.includes(name))
      refuse(key, `there is no setting ${JSON.stringify(name)}, of ${FILE_KEYS.join(", ")}`);
    const value = plainValue(node);
    if (name === "ignore") settings.ignore = { node, source };
    else if (name === "output") {
      if (!FORMATS.includes(value as Format)) refuse(node, `output is one of ${FORMATS.join(", ")}`);
      settings.output = value;
    } else if (name === "identifiers" || name === "schemas") {
      const list = Array.isArray(value) ? value : [value];
      if (!list.every((item) => typeof item === "string")) refuse(node, `${name} is a list of strings`);
      // Paths in a file are from where the file is.
      settings[name] = name === "schemas" ? list.map((item) => resolve(dirname(path), item as string)) : list;
    } else {
      if (typeof value !== "boolean") refuse(node, `${name} is true or false`);
      settings[name] = value;
    }
  }
  return settings as FileSettings;
}
