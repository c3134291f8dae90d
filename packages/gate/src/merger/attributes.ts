import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { ObjectReader, TreeEntry } from "../git/objects.ts";
import { bytesOf } from "../git/text.ts";
import { MergerError } from "./request.ts";

/** One `.gitattributes` of a tree. */
interface AttributeFile {
  /** From the top of the tree. */
  readonly path: string;
  readonly id: string;
}

/** All of the `.gitattributes` of a tree. Trees with equal ones have equal `key`. */
export interface Attributes {
  readonly key: string;
  readonly files: readonly { readonly path: string; readonly content: Uint8Array }[];
  /** Whether a merge driver may be named that is not one of git's own. */
  readonly namesDriver: boolean;
}

const MAX_FILES = 10_000;
const MAX_FILE_BYTES = 1024 * 1024;
const MAX_KNOWN_TREES = 100_000;
const MAX_KNOWN_SETS = 50;
const NONE: readonly AttributeFile[] = [];

/** Git's own merge drivers. */
export const OWN_DRIVERS: readonly string[] = ["text", "binary", "union"];

/** Finds the attributes of trees. What a tree holds is remembered, so that a merge costs what it changed. */
export class AttributeReader {
  readonly #reader: ObjectReader;
  readonly #trees = new Map<string, readonly AttributeFile[]>();
  readonly #sets = new Map<string, Attributes>();

  constructor(reader: ObjectReader) {
    this.#reader = reader;
  }

  /** @throws MergerError `MERGER_LIMIT` */
  async of(tree: string): Promise<Attributes> {
    if (this.#trees.size > MAX_KNOWN_TREES) this.#trees.clear();
    const files = await this.#find(tree);
    if (files.length > MAX_FILES)
      throw new MergerError("MERGER_LIMIT", `tree ${tree} has more than ${MAX_FILES} .gitattributes`);
    const digest = createHash("sha256");
    for (const { path, id } of files) digest.update(`${JSON.stringify(path)} ${id}\n`);
    const key = digest.digest("hex");
    const known = this.#sets.get(key);
    if (known !== undefined) return known;
    const contents = await Promise.all(files.map((file) => this.#read(file)));
    const set: Attributes = { key, files: contents, namesDriver: contents.some(namesDriver) };
    if (this.#sets.size >= MAX_KNOWN_SETS) this.#sets.clear();
    this.#sets.set(key, set);
    return set;
  }

  async #find(tree: string): Promise<readonly AttributeFile[]> {
    const known = this.#trees.get(tree);
    if (known !== undefined) return known;
    const entries = await this.#reader.tree(tree);
    const parts = await Promise.all(entries.map((entry) => this.#below(entry)));
    const found = parts.flat();
    const files = found.length === 0 ? NONE : found;
    this.#trees.set(tree, files);
    return files;
  }

  async #below({ mode, name, id }: TreeEntry): Promise<readonly AttributeFile[]> {
    // Git itself does not follow a link of this name.
    if (name === ".gitattributes") return /^100/.test(mode) ? [{ path: name, id }] : NONE;
    // No checkout has such a folder, whatever a broken tree says.
    if (mode !== "40000" || /^(?:\.\.?|\.git|)$/i.test(name) || name.includes("/")) return NONE;
    const files = await this.#find(id);
    return files.length === 0 ? NONE : files.map((file) => ({ path: `${name}/${file.path}`, id: file.id }));
  }

  async #read({ path, id }: AttributeFile): Promise<{ path: string; content: Uint8Array }> {
    const { bytes } = (await this.#reader.info(id)) ?? { bytes: 0 };
    if (bytes > MAX_FILE_BYTES)
      throw new MergerError("MERGER_LIMIT", `${path} has ${bytes} bytes, limit ${MAX_FILE_BYTES}`);
    return { path, content: (await this.#reader.read(id, "blob")) ?? new Uint8Array(0) };
  }
}

function namesDriver({ content }: { content: Uint8Array }): boolean {
  const names = Buffer.from(content)
    .toString("latin1")
    .matchAll(/\bmerge=([^\s"]+)/g);
  return [...names].some(([, name]) => !OWN_DRIVERS.includes(name!));
}

/** Writes the attributes into an empty folder, which then is the work tree of a merge. */
export function writeAttributes(folder: string, { files }: Attributes): void {
  for (const { path, content } of files) {
    const file = Buffer.concat([Buffer.from(`${folder}/`), bytesOf(path)]);
    if (path.includes("/"))
      mkdirSync(Buffer.concat([Buffer.from(join(folder, "/")), bytesOf(dirname(path))]), { recursive: true });
    writeFileSync(file, content);
  }
}
