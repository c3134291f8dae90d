import { chmodSync, realpathSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { Command } from "commander";
import { loadDocuments } from "../document/load.ts";
import { type LoadedFile, placeOf } from "../document/node.ts";
import { ShyamlError } from "../errors.ts";
import { sameData } from "../sort/same-data.ts";
import { type SortNote, sortKeys } from "../sort/sort-keys.ts";
import { type InputFile, readInput } from "./input.ts";
import { EXIT } from "./output.ts";

interface SortFlags {
  readonly check: boolean;
  readonly inPlace: boolean;
  readonly first?: string;
  readonly verbose: boolean;
}

/** `shyaml sortkeys [FILE…]`, also `keysort` as it was called before. */
export function sortkeysCommand(): Command {
  return new Command("sortkeys")
    .alias("keysort")
    .description(
      "Sort the keys of every mapping. Nothing but the order changes, byte for byte: comments and blank lines move with their keys.",
    )
    .argument("[file...]", "files and directories; - or none is the standard input")
    .option("-c, --check", "print nothing but which files are not sorted; exit 1 if there are any", false)
    .option("-i, --in-place", "write the files instead of printing what is sorted", false)
    .option("-f, --first <keys>", "keys that come before all others, as apiVersion,kind,metadata,name")
    .option("-v, --verbose", "say what could not stand in its place, and why", false)
    .action((args: string[], flags: SortFlags) => {
      const files = (args.length === 0 ? ["-"] : args).flatMap((argument) => readInput(argument).files);
      if (files.length > 1 && !flags.inPlace && !flags.check) {
        throw new ShyamlError("SETTING_INVALID", "several files need --in-place or --check");
      }
      if (flags.inPlace && files.some(({ isStandardInput }) => isStandardInput)) {
        throw new ShyamlError("SETTING_INVALID", "the standard input cannot be written in place");
      }
      for (const file of files) sortFile(file, flags);
    });
}

function sortFile({ name, text: source, mark, isUtf8 }: InputFile, flags: SortFlags): void {
  if (!isUtf8) throw new ShyamlError("SETTING_INVALID", `${name} is UTF-16, and only UTF-8 can be sorted`);
  const loaded = loadDocuments(source, { name });
  const first = (flags.first ?? "").split(",").filter((key) => key !== "");
  const { text, moved, notes } = sortKeys(source, { first });
  const say = ({ offset, text }: SortNote) => {
    const { line, column } = placeOf(loaded.source, offset);
    process.stderr.write(`${name}:${line}:${column}: ${text}\n`);
  };
  if (flags.verbose) notes.forEach(say);
  if (text !== source && !saysTheSame(loaded, text)) {
    const detail = `${name}: sorted, it would say something else; it is left as it is`;
    throw new ShyamlError("SORT_REFUSED", detail);
  }
  if (flags.check) {
    if (text === source) return;
    moved.slice(0, flags.verbose ? moved.length : 1).forEach(say);
    process.exitCode = EXIT.differs;
  } else if (!flags.inPlace) {
    process.stdout.write(mark + text);
  } else if (text !== source) {
    replaceFile(name, mark + text);
  }
}

function saysTheSame({ source: { name }, documents }: LoadedFile, text: string): boolean {
  try {
    return sameData(documents, loadDocuments(text, { name }).documents);
  } catch (error) {
    if (error instanceof ShyamlError) return false;
    throw error;
  }
}

/** Whoever reads the file meanwhile sees all of the old or all of the new. */
function replaceFile(name: string, text: string): void {
  const path = realpathSync(name);
  const draft = `${path}.${process.pid}.sorted`;
  try {
    writeFileSync(draft, text, { flag: "wx" });
    chmodSync(draft, statSync(path).mode);
    renameSync(draft, path);
  } catch (cause) {
    rmSync(draft, { force: true });
    throw new ShyamlError("FILE_NOT_WRITABLE", `${name}: ${(cause as Error).message}`, undefined, { cause });
  }
}
