import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";

/*
 * Secrets leave the gate in the workload of a build, which a job server has and may store, and come back in its result. There
 * they are sealed: who has the gate's key alone, its executors, can read them.
 */

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** @param purpose What it is sealed for: it opens for nothing else. */
export function seal(key: Uint8Array, value: unknown, purpose: string): string {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  cipher.setAAD(Buffer.from(purpose));
  const text = Buffer.concat([cipher.update(JSON.stringify(value)), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), text]).toString("base64");
}

/** @throws when it was sealed by another key, or for something else. */
export function unseal(key: Uint8Array, sealed: string, purpose: string): unknown {
  const bytes = Buffer.from(sealed, "base64");
  const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, NONCE_BYTES));
  decipher.setAAD(Buffer.from(purpose));
  decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
  const text = Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]);
  return JSON.parse(text.toString());
}

/** Purpose of what jobs return for those after them. */
export const RETURNED_PURPOSE = "returned";
/** Purpose of secrets of the configuration, for one build. */
export const secretsPurpose = (build: string): string => `secrets of ${build}`;
