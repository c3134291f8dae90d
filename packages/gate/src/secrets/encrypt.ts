import { constants, type KeyLike, privateDecrypt, publicEncrypt } from "node:crypto";
import { CHUNK_BYTES, chunksOf, ENCRYPTED, type SecretValue } from "./encrypted.ts";

const PADDING = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha1" };

/** A value, as chunks for `!encrypted/pkcs1-oaep`. Who has the private key alone can read it. */
export function encryptChunks(publicKey: KeyLike, value: Uint8Array): string[] {
  const chunks: string[] = [];
  for (let at = 0; at === 0 || at < value.length; at += CHUNK_BYTES) {
    const piece = value.subarray(at, at + CHUNK_BYTES);
    chunks.push(publicEncrypt({ key: publicKey as string, ...PADDING }, piece).toString("base64"));
  }
  return chunks;
}

/**
 * A `secret` for a file of configuration, with one value.
 * @param publicKey PEM, as the gate tells it of a project.
 */
export function encryptedSecret(publicKey: string, name: string, field: string, value: Uint8Array): string {
  const lines = encryptChunks(publicKey, value).map((chunk) => {
    const wrapped = chunk.match(/.{1,75}/g)!.map((line) => `          ${line}`);
    return `        - |\n${wrapped.join("\n")}\n`.replace("|", "|-");
  });
  return `- secret:\n    name: ${scalar(name)}\n    data:\n      ${scalar(field)}: ${ENCRYPTED}\n${lines.join("")}`;
}

function scalar(text: string): string {
  return /^[A-Za-z_][\w.-]*$/.test(text) ? text : JSON.stringify(text);
}

/**
 * What a secret holds, in plain text.
 * @throws when a value was not encrypted for this key.
 */
export function decrypted(privateKey: string, value: SecretValue): SecretValue {
  const chunks = chunksOf(value);
  if (chunks !== undefined) {
    const pieces = chunks.map((chunk) =>
      privateDecrypt({ key: privateKey, ...PADDING }, Buffer.from(chunk, "base64")),
    );
    return Buffer.concat(pieces).toString();
  }
  if (Array.isArray(value)) return value.map((one) => decrypted(privateKey, one));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, decrypted(privateKey, inner)]));
}
