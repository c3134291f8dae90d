import { spawnSync } from "node:child_process";
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Command } from "commander";
import { ShyamlError } from "../errors.ts";
import { visible } from "../render/value.ts";
import { compareInputs } from "./diff.ts";
import { type Input, readInput } from "./input.ts";
import { EXIT } from "./output.ts";
import { addDiffFlags, readSettings, type Settings } from "./settings.ts";

/** What git names a side on which there is no file. */
const NO_FILE = "/dev/null";
/** Name of the driver in git's settings and attributes. */
const DRIVER = "shyaml";
const PATTERNS = ["*.yaml", "*.yml"];

/**
 * `shyaml git-diff PATH OLD OLD-HEX OLD-MODE NEW NEW-HEX NEW-MODE [NEW-PATH SIMILARITY]`, as git calls its external diffs. With
 * PATH alone the file is not merged.
 */
export function gitDiffCommand(): Command {
  return addDiffFlags(
    new Command("git-diff")
      .description("Compare as git's external diff: takes the seven arguments that git gives.")
      .argument("<path>", "the file in the repository")
      .argument("[arguments...]", "old file, hash and mode, new file, hash and mode"),
  ).action((path: string, rest: string[], flags: object) => {
    const isOfGit =
      process.env.GIT_DIFF_PATH_TOTAL !== undefined || process.env.GIT_DIFF_PATH_COUNTER !== undefined;
    const settings = { ...readSettings(flags), exitZero: isOfGit };
    if (rest.length === 0) {
      process.stdout.write(`${visible(path)} is not merged\n`);
      return;
    }
    if (rest.length < 6) {
      throw new ShyamlError("SETTING_INVALID", `git gives seven arguments, and here are ${rest.length + 1}`);
    }
    const [oldFile, oldHash, oldMode, newFile, newHash, newMode, newPath] = rest as [
      string,
      string,
      string,
      string,
      string,
      string,
      string?,
    ];
    const isMoved = oldHash === newHash && /[1-9a-f]/.test(oldHash);
    const sides = { path, newPath: newPath ?? path, oldFile, oldMode, newFile, newMode, isMoved };
    const isDifferent = showFile(sides, settings);
    process.exitCode = isDifferent && !settings.exitZero ? EXIT.differs : EXIT.same;
  });
}

interface Sides {
  readonly path: string;
  readonly newPath: string;
  readonly oldFile: string;
  readonly oldMode: string;
  readonly newFile: string;
  readonly newMode: string;
  /** The file is the same to the byte. */
  readonly isMoved: boolean;
}

/** @returns Whether the two differ. */
function showFile(sides: Sides, settings: Settings): boolean {
  const { path, newPath, oldFile, oldMode, newFile, newMode, isMoved } = sides;
  const lines = [];
  if (newPath !== path) lines.push(`renamed ${visible(path)} to ${visible(newPath)}`);
  if (oldMode !== newMode && oldFile !== NO_FILE && newFile !== NO_FILE)
    lines.push(`mode of ${visible(newPath)} changed from ${oldMode} to ${newMode}`);
  const head = lines.map((line) => `${line}\n`).join("");
  try {
    const [before, after] = [side(oldFile, path, settings), side(newFile, newPath, settings)];
    const { report, text } = compareInputs(before, after, settings);
    const same = `${visible(newPath)}: the same values, written in another way\n`;
    const body = text !== "" ? `${text}\n` : !isMoved && settings.output === "terminal" ? same : "";
    process.stdout.write(head + body);
    return report.documents.length > 0;
  } catch (error) {
    // One file that is no YAML, such as a template, must not end git's whole diff.
    if (!(error instanceof ShyamlError) || !settings.exitZero) throw error;
    process.stdout.write(`${head}shyaml: ${error.message}; as text:\n`);
    if (error.code === "FILE_UNREADABLE") return true;
    const { stdout, error: failed } = spawnSync(
      "git",
      ["diff", "--no-index", "--no-ext-diff", "--", oldFile, newFile],
      {
        encoding: "utf8",
      },
    );
    if (failed !== undefined) throw new ShyamlError("GIT_REFUSED", failed.message);
    process.stdout.write(stdout);
    return true;
  }
}

function side(file: string, path: string, settings: Settings): Input {
  if (file === NO_FILE) return { isDirectory: false, files: [] };
  const { files } = readInput(file, settings.limits);
  return { isDirectory: false, files: files.map((input) => ({ ...input, name: path })) };
}

/** `shyaml install-git-driver` */
export function installGitDriverCommand(): Command {
  return new Command("install-git-driver")
    .description("Let git diff compare YAML files with shyaml, and git show and git log -p with --ext-diff.")
    .option("--global", "for all repositories of the user; else for this one", false)
    .option("--shared", "write the patterns to .gitattributes, which is committed", false)
    .option("--command <command>", "what git is to run", "shyaml git-diff")
    .option("--remove", "take it away again", false)
    .action((flags: { global: boolean; shared: boolean; command: string; remove: boolean }) => {
      const scope = flags.global ? "--global" : "--local";
      const attributes = attributesFile(flags);
      if (flags.remove) {
        git(["config", scope, "--remove-section", `diff.${DRIVER}`], [128, 5]);
        removePatterns(attributes);
        process.stdout.write(`removed the driver from git's ${scope.slice(2)} settings and ${attributes}\n`);
        return;
      }
      git(["config", scope, `diff.${DRIVER}.command`, flags.command]);
      const added = addPatterns(attributes);
      process.stdout.write(
        `git's ${scope.slice(2)} settings: diff.${DRIVER}.command = ${flags.command}\n` +
          `${attributes}: ${added.length === 0 ? "has the patterns already" : added.join(", ")}\n`,
      );
    });
}

function attributesFile({ global, shared }: { readonly global: boolean; readonly shared: boolean }): string {
  if (global) {
    const set = git(["config", "--global", "--path", "core.attributesFile"], [1]);
    const base = process.env.XDG_CONFIG_HOME || join(process.env.HOME ?? "", ".config");
    return set === "" ? join(base, "git", "attributes") : set;
  }
  if (shared) return join(git(["rev-parse", "--show-toplevel"]), ".gitattributes");
  return git(["rev-parse", "--path-format=absolute", "--git-path", "info/attributes"]);
}

/** @param allowed Exit codes that are answers. */
function git(args: readonly string[], allowed: readonly number[] = []): string {
  const { status, stdout, stderr, error } = spawnSync("git", args, { encoding: "utf8" });
  if (error !== undefined) throw new ShyamlError("GIT_REFUSED", `git: ${error.message}`);
  if (status !== 0 && !allowed.includes(status ?? -1))
    throw new ShyamlError("GIT_REFUSED", `git ${args[0]}: ${stderr.trim()}`);
  return stdout.trim();
}

const LINES = PATTERNS.map((pattern) => `${pattern} diff=${DRIVER}`);

/** @returns The lines that were not there yet. */
function addPatterns(file: string): string[] {
  const text = existsSync(file) ? readFileSync(file, "utf8") : "";
  const known = text.split("\n");
  const missing = LINES.filter((line) => !known.includes(line));
  if (missing.length === 0) return [];
  mkdirSync(dirname(file), { recursive: true });
  appendFileSync(file, `${text === "" || text.endsWith("\n") ? "" : "\n"}${missing.join("\n")}\n`);
  return missing;
}

function removePatterns(file: string): void {
  if (!existsSync(file)) return;
  const kept = readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => !LINES.includes(line));
  writeFileSync(file, kept.join("\n"));
}
