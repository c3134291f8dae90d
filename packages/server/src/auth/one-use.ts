import { hash, randomBytes } from "node:crypto";
import type { Identity } from "../core/index.ts";

interface Issued {
  readonly identity: Identity;
  readonly origin: string;
  readonly endsMs: number;
}

const SECRET_BYTES = 32;

/**
 * Secrets that stand for an identity once, for a short time, and from one origin: a page in a browser can give its
 * WebSocket no header, and must not put a token into a URL. Kept as digests, oldest first.
 */
export class OneUseSecrets {
  readonly #issued = new Map<string, Issued>();
  readonly #keepMs: number;
  readonly #max: number;

  /** @param max Secrets kept; past it the oldest goes. */
  constructor(keepMs: number, max: number) {
    this.#keepMs = keepMs;
    this.#max = max;
  }

  get size(): number {
    return this.#issued.size;
  }

  issue(identity: Identity, origin: string, nowMs: number): string {
    this.#expire(nowMs);
    if (this.#issued.size >= this.#max) this.#issued.delete(this.#issued.keys().next().value!);
    const secret = randomBytes(SECRET_BYTES).toString("base64url");
    this.#issued.set(digest(secret), { identity, origin, endsMs: nowMs + this.#keepMs });
    return secret;
  }

  /** The identity that a secret stands for; null when it stands for none, any more or from there. */
  redeem(secret: string, origin: string, nowMs: number): Identity | null {
    const key = digest(secret);
    const found = this.#issued.get(key);
    // Whoever shows it from elsewhere has stolen it, so that it is of no more use either.
    this.#issued.delete(key);
    return found === undefined || found.endsMs <= nowMs || found.origin !== origin ? null : found.identity;
  }

  #expire(nowMs: number): void {
    for (const [key, { endsMs }] of this.#issued) {
      if (endsMs > nowMs) break;
      this.#issued.delete(key);
    }
  }
}

function digest(secret: string): string {
  return hash("sha256", secret, "base64url");
}
