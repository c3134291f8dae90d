import { readdirSync, readFileSync, readSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { decodeText, encodingOf } from "../document/load.ts";
import { ShyamlError } from "../errors.ts";
import { DEFAULT_LIMITS, type Limits } from "../limits.ts";

/** One file as it was read. */
export interface InputFile {
  /** What it is called in reports: as the user named it. */
  readonly name: string;
  /** Its path below the directory that was named; empty for a file that was named itself. */
  readonly path: string;
  /** Without the byte order mark. */
  readonly text: string;
  /** The byte order mark that stood before it, or nothing. */
  readonly mark: string;
  readonly isUtf8: boolean;
  readonly isStandardInput: boolean;
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
    const read = decoded(readStandardInput(limits), "stdin", limits);
    return { isDirectory: false, files: [{ ...read, path: "", isStandardInput: true }] };
  }
  if (!isDirectory(argument)) return { isDirectory: false, files: [readFile(argument, "", limits)] };
  const paths: string[] = [];
  collect(argument, argument, paths, limits);
  const files = paths.map((path) => readFile(join(argument, path), path, limits));
  return { isDirectory: true, files };
}

function readFile(name: string, path: string, limits: Limits): InputFile {
  try {
    const { size } = statSync(name);
    if (size > limits.maxInputBytes)
      throw new ShyamlError("LIMIT_EXCEEDED", `${name} has ${size} bytes, limit ${limits.maxInputBytes}`);
    return { ...decoded(readFileSync(name), name, limits), path, isStandardInput: false };
  } catch (cause) {
    throw cause instanceof ShyamlError ? cause : unreadable(name, cause);
  }
}

function decoded(bytes: Uint8Array, name: string, limits: Limits) {
  const text = decodeText(bytes, name, limits);
  const isUtf8 = encodingOf(bytes) === "utf-8";
  const mark = !isUtf8 || (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) ? "\uFEFF" : "";
  return { name, text, mark, isUtf8 };
}

function unreadable(name: string, cause: unknown): ShyamlError {
  const { code, message } = cause as NodeJS.ErrnoException;
  return new ShyamlError("FILE_UNREADABLE", `${name}: ${reasonOf(code, message)}`, undefined, { cause });
}

const CHUNK_BYTES = 64 * 1024;
/** Time between looks at a standard input that has nothing yet. */
const IDLE_MS = 5;

/** All of the standard input, or the first of it that is beyond the limit. */
function readStandardInput(limits: Limits): Uint8Array {
  const chunks: Uint8Array[] = [];
  let size = 0;
  while (size <= limits.maxInputBytes) {
    const chunk = new Uint8Array(CHUNK_BYTES);
    let read = 0;
    try {
      read = readSync(0, chunk);
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      if (code === "EAGAIN") {
        // Whoever opened it wants nobody to wait in a read.
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, IDLE_MS);
        continue;
      }
      if (code !== "EOF") throw unreadable("stdin", cause);
    }
    if (read === 0) break;
    chunks.push(chunk.subarray(0, read));
    size += read;
  }
  return Buffer.concat(chunks);
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (cause) {
    throw unreadable(path, cause);
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
