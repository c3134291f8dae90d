import type { ObjectReader } from "../git/objects.ts";
import { MergerError } from "./request.ts";

/** Paths that a change may touch. */
export const MAX_CHANGED_FILES = 200_000;
/** Files that one question may be answered with. */
export const MAX_FILES = 2_000;
export const MAX_FILE_BYTES = 4 * 1024 * 1024;
export const MAX_FILES_BYTES = 64 * 1024 * 1024;

export interface WantedFiles {
  /** Paths of files, from the top. */
  readonly files?: readonly string[];
  /** Paths of folders, from the top: everything below them. */
  readonly folders?: readonly string[];
  /** Which of the files below the folders. Default: all. */
  readonly wants?: (path: string) => boolean;
}

/** Contents by path, those of `files` first, each folder's in git's order. */
export type Files = ReadonlyMap<string, Buffer>;

/** Ids of the contents of regular files by path, those of `files` first, each folder's in git's order. */
export type FileIds = ReadonlyMap<string, string>;

/** Finds regular files of a tree; links are none. */
export async function findFiles(reader: ObjectReader, tree: string, wanted: WantedFiles): Promise<FileIds> {
  const found = new Map<string, string>();
  const add = (path: string, id: string): void => {
    found.set(path, id);
    if (found.size > MAX_FILES)
      throw new MergerError("MERGER_LIMIT", `more than ${MAX_FILES} files, ${path} among them`);
  };
  const walk = async (id: string, folder: string): Promise<void> => {
    for (const entry of await reader.tree(id)) {
      const path = `${folder}/${entry.name}`;
      if (entry.mode === "40000") await walk(entry.id, path);
      else if (entry.mode.startsWith("100") && (wanted.wants?.(path) ?? true)) add(path, entry.id);
    }
  };
  for (const path of wanted.files ?? []) {
    const entry = await entryOf(reader, tree, path);
    if (entry?.mode.startsWith("100") === true) add(path, entry.id);
  }
  for (const path of wanted.folders ?? []) {
    const entry = await entryOf(reader, tree, path);
    if (entry?.mode === "40000") await walk(entry.id, path);
  }
  return found;
}

/** Reads what was found. */
export async function readFiles(reader: ObjectReader, found: FileIds): Promise<Files> {
  const files = new Map<string, Buffer>();
  let total = 0;
  for (const [path, id] of found) {
    const { bytes } = (await reader.info(id)) ?? { bytes: 0 };
    total += bytes;
    if (bytes > MAX_FILE_BYTES)
      throw new MergerError("MERGER_LIMIT", `${path} has ${bytes} bytes, limit ${MAX_FILE_BYTES}`);
    if (total > MAX_FILES_BYTES)
      throw new MergerError("MERGER_LIMIT", `${path} makes it more than ${MAX_FILES_BYTES} bytes`);
    const content = await reader.read(id, "blob");
    if (content === undefined) throw new MergerError("MERGER_LIMIT", `${path} is missing in the repository`);
    // A copy: the bytes that git sent are a view into something larger.
    files.set(path, Buffer.from(content));
  }
  return files;
}

async function entryOf(reader: ObjectReader, tree: string, path: string) {
  const names = path.split("/");
  const last = names.pop();
  let id = tree;
  for (const name of names) {
    const folder = (await reader.tree(id)).find((entry) => entry.name === name);
    if (folder?.mode !== "40000") return undefined;
    id = folder.id;
  }
  return (await reader.tree(id)).find((entry) => entry.name === last);
}
