import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { ShyamlError } from "../errors.ts";
import { diffCommand } from "./diff.ts";
import { gitDiffCommand, installGitDriverCommand } from "./git.ts";
import { jsonCommand } from "./json.ts";
import { kubediffCommand } from "./kubediff.ts";
import { EXIT } from "./output.ts";
import { sortkeysCommand } from "./sortkeys.ts";

/** The commands, for a program of their own or below another program's. They set `process.exitCode`. */
export function shyamlCommands(): Command[] {
  return [
    jsonCommand(),
    diffCommand(),
    gitDiffCommand(),
    installGitDriverCommand(),
    sortkeysCommand(),
    kubediffCommand(),
  ];
}

export function shyamlProgram(): Command {
  const manifest: { version: string } = JSON.parse(
    readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
  );
  const program = new Command("shyaml")
    .description("The diff of YAML, JSON and Kubernetes manifests that a reviewer can trust.")
    .version(manifest.version, "-V, --version", "print the version")
    .helpCommand("help [command]", "show the help of a command");
  for (const command of shyamlCommands()) program.addCommand(command);
  prepare(program);
  return program;
}

function prepare(command: Command): void {
  command.exitOverride().configureOutput({
    outputError: (text, write) => write(text.replace(/^error: /, "shyaml: ")),
  });
  for (const sub of command.commands) prepare(sub);
}

/**
 * Runs one command line and says on the standard error what went wrong.
 * @returns The exit code.
 */
export async function runShyaml(args: readonly string[]): Promise<number> {
  process.exitCode = EXIT.same;
  try {
    await shyamlProgram().parseAsync(separated(args), { from: "user" });
    return Number(process.exitCode);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.same : EXIT.trouble;
    if (error instanceof ShyamlError) process.stderr.write(`shyaml: ${error.message}\n`);
    else process.stderr.write(`shyaml: this is a bug: ${(error as Error).stack ?? error}\n`);
    return EXIT.trouble;
  }
}

/**
 * Words as commander takes them: `-o=json` as `-o json`, `--yaml-1.1` as `--yaml11`, and `LIVE MERGED diff` as
 * `diff LIVE MERGED`, for kubectl puts all words of KUBECTL_EXTERNAL_DIFF but the first behind the two directories, and only
 * those of letters, digits, `-` and `=`.
 */
export function separated(given: readonly string[]): string[] {
  const isOfKubectl = given[2] === "diff" && given[0]?.startsWith("/") && given[1]?.startsWith("/");
  const args = isOfKubectl ? ["diff", ...given.slice(0, 2), ...given.slice(3)] : given;
  const end = args.indexOf("--");
  return args.flatMap((arg, i) => {
    if (end >= 0 && i > end) return [arg];
    if (arg === "--yaml-1.1") return ["--yaml11"];
    const short = /^(-[A-Za-z])=(.*)$/s.exec(arg);
    return short === null ? [arg] : [short[1]!, short[2]!];
  });
}
