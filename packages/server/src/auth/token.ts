import { hash, randomBytes, timingSafeEqual } from "node:crypto";

/*
 * A token is `drover_ID_SECRET`. The id is public: it names the token in listings and logs. The secret is 256 random bits
 * and is kept as its SHA-256 only. A slow hash, as for passwords, would add nothing: there is no guessing 256 bits however
 * fast each guess is, and each connection would pay for it.
 */

const ID_BYTES = 6;
const SECRET_BYTES = 32;
const TOKEN = /^drover_([0-9a-f]{12})_([A-Za-z0-9_-]{43})$/;

export interface NewToken {
  readonly id: string;
  /** What the holder has to show; known at this moment only. */
  readonly text: string;
  readonly sha256: string;
}

export function makeToken(): NewToken {
  const id = randomBytes(ID_BYTES).toString("hex");
  const secret = randomBytes(SECRET_BYTES).toString("base64url");
  return { id, text: `drover_${id}_${secret}`, sha256: hash("sha256", secret, "hex") };
}

/** Id and secret of a token's text; undefined when it is none. */
export function readToken(text: string): { readonly id: string; readonly secret: string } | undefined {
  const match = TOKEN.exec(text);
  return match === null ? undefined : { id: match[1]!, secret: match[2]! };
}

/** Whether a secret is the one whose digest is kept, in a time that does not depend on where they differ. */
export function isSecretOf(secret: string, sha256: string): boolean {
  return timingSafeEqual(hash("sha256", secret, "buffer"), Buffer.from(sha256, "hex"));
}
