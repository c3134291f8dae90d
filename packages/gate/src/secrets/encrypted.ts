/* How configuration holds what only the gate may read: `!encrypted/pkcs1-oaep`, as Zuul has it. */

/** Key of the map that stands for a value with the tag of that name: its chunks, each in base64. */
export const ENCRYPTED = "!encrypted/pkcs1-oaep";

/** Bits of the key that each project has. */
export const KEY_BITS = 4096;

/** Longest piece that is encrypted at once: the key's length, less what OAEP with SHA-1 adds. */
export const CHUNK_BYTES = KEY_BITS / 8 - 42;

export type SecretValue =
  | null
  | boolean
  | number
  | string
  | readonly SecretValue[]
  | { readonly [key: string]: SecretValue };

/** The chunks of an encrypted value; `undefined` when it is a plain one. */
export function chunksOf(value: SecretValue): readonly string[] | undefined {
  if (typeof value !== "object" || value === null || !(ENCRYPTED in value)) return undefined;
  return value[ENCRYPTED] as readonly string[];
}
