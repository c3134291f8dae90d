import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { decodeText } from "../document/load.ts";
import { ShyamlError } from "../errors.ts";
import { DEFAULT_LIMITS, type Limits } from "../limits.ts";

/** One file as it was read. */
export interface InputFile {
  /** What it is called in reports: as the user named it. */
  readonly name: string;
  /** Its path below the directory that was named; empty for a file that was named itself. */
  readonly path: string;
  readonly text: string;
}

/** What an argument stands for. */
export interface Input {
  readonly isDirectory: boolean;
  readonly files: readonly InputFile[];
}

/** Files of directories that are read: by extension, or named as `kubectl diff` does (`apps.v1.Deployment.default.web`). */
const MANIFEST = /\.(?:ya?ml|json)$|^(?:[\w-]+\.)*v\d\w*\.[A-Z]\w*\.[\w-]*\.[\w.:-]+$/;

/**
 * Reads a file, a directory with all below it, or `-` for the standard input.
 * @throws ShyamlError `FILE_UNREADABLE`, `LIMIT_EXCEEDED`, or `YAML_INVALID` where the bytes are no text.
 */
export function readInput(argument: string, limits: Limits = DEFAULT_LIMITS): Input {
  if (argument === "-") {
    const text = decodeText(readBytes(0, "standard input"), "stdin", limits);
    return { isDirectory: false, files: [{ name: "stdin", path: "", text }] };
  }
  if (!isDirectory(argument)) return { isDirectory: false, files: [readFile(argument, "", limits)] };
  const paths: string[] = [];
  collect(argument, argument, paths, limits);
  const files = paths.map((path) => readFile(join(argument, path), path, limits));
  return { isDirectory: true, files };
}

function readFile(name: string, path: string, limits: Limits): InputFile {
  return { name, path, text: decodeText(readBytes(name, name), name, limits) };
}

function readBytes(file: string | number, name: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    // A standard input that is closed has nothing to read.
    if (file === 0 && (code === "EOF" || code === "EAGAIN")) return new Uint8Array();
    throw new ShyamlError("FILE_UNREADABLE", `${name}: ${reasonOf(code, message)}`, undefined, { cause });
  }
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    throw new ShyamlError("FILE_UNREADABLE", `${path}: ${reasonOf(code, message)}`, undefined, { cause });
  }
}

function reasonOf(code: string | undefined, message: string): string {
  if (code === "ENOENT") return "there is no such file";
  if (code === "EACCES") return "it may not be read";
  return message;
}

function collect(root: string, folder: string, paths: string[], limits: Limits): void {
  for (const entry of readdirSync(folder, { withFileTypes: true }).sort((a, b) =>
    a.name < b.name ? -1 : 1,
  )) {
    const path = join(folder, entry.name);
    if (entry.name.startsWith(".")) continue;
    if (entry.isDirectory()) collect(root, path, paths, limits);
    else if (MANIFEST.test(entry.name) && (entry.isFile() || statSync(path).isFile())) {
      if (paths.length === limits.maxFiles)
        throw new ShyamlError("LIMIT_EXCEEDED", `${root} has more than ${limits.maxFiles} files`);
      paths.push(relative(root, path));
    }
  }
}
