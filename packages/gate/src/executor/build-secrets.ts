import { chown, mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { RETURNED_PURPOSE, seal, secretsPurpose, unseal } from "../secrets/sealing.ts";
import { type CheckedRequest, type Entry, entriesOf, type JsonObject } from "./build-request.ts";
import { MASK, textsOf } from "./masking.ts";
import { mergeReturned } from "./returned-data.ts";
import { WorkspaceImpossible } from "./workspace.ts";

/** What only some entries of a build may read. */
export class BuildSecrets {
  readonly #key: Uint8Array | null;
  readonly #entries = new Map<Entry, JsonObject>();
  /** What jobs before it returned for its files alone. */
  readonly #before: JsonObject;
  #returned: JsonObject = {};

  /**
   * Opens what a request has sealed.
   * @param key Shared with the gate; `null`: this executor has none.
   * @throws WorkspaceImpossible
   */
  constructor(request: CheckedRequest, key: Uint8Array | null) {
    this.#key = key;
    const open = (sealed: string, purpose: string): JsonObject => {
      const remedy = "give it --secrets-key FILE, a copy of keys/sealing.key of the gate's folder";
      if (key === null) throw new WorkspaceImpossible(`the executor has no key for secrets: ${remedy}`);
      try {
        return unseal(key, sealed, purpose) as JsonObject;
      } catch {
        throw new WorkspaceImpossible(`the executor's key for secrets is not the gate's: ${remedy}`);
      }
    };
    this.#before = request.returnedSecrets
      .map((sealed) => open(sealed, RETURNED_PURPOSE))
      .reduce(mergeReturned, {});
    for (const entry of entriesOf(request)) {
      const sealed = "path" in entry ? entry.secrets : undefined;
      if (sealed !== undefined) this.#entries.set(entry, open(sealed, secretsPurpose(request.build)));
    }
  }

  /** What an entry is given; `undefined`: nothing. Commands are given nothing. */
  of(entry: Entry): JsonObject | undefined {
    if (!("path" in entry)) return undefined;
    const given = { ...this.#before, ...this.#entries.get(entry) };
    return Object.keys(given).length === 0 ? undefined : given;
  }

  /** All that is to be hidden. */
  texts(): string[] {
    return [...this.#entries.values(), this.#before].flatMap(textsOf);
  }

  /** Keeps what an entry returned for the files of later jobs. */
  keep(data: JsonObject): void {
    this.#returned = mergeReturned(this.#returned, data);
  }

  /** What is to be told of that: `undefined` when there is nothing, or nobody could open it. */
  sealed(): string | undefined {
    if (this.#key === null || Object.keys(this.#returned).length === 0) return undefined;
    return seal(this.#key, this.#returned, RETURNED_PURPOSE);
  }
}

/** Writes a file that the build's user alone can read. */
export async function writeForBuild(path: string, text: string, uid: number | null): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text, { mode: uid === null ? 0o600 : 0o400 });
  if (uid !== null) await chown(path, uid, uid);
}

/** A value of JSON in which no text holds what is hidden. */
export function withoutSecrets<T>(value: T, masked: (text: string) => string): T {
  if (typeof value === "string") return masked(value) as T;
  // Hidden as a text, it would be another value.
  if (typeof value === "number") return (masked(String(value)) === MASK ? MASK : value) as T;
  if (Array.isArray(value)) return value.map((one) => withoutSecrets(one, masked)) as T;
  if (typeof value !== "object" || value === null) return value;
  const pairs = Object.entries(value).map(([key, inner]) => [masked(key), withoutSecrets(inner, masked)]);
  return Object.fromEntries(pairs) as T;
}
