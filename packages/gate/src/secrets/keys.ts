import { createPublicKey, generateKeyPair, randomBytes } from "node:crypto";
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { KEY_BITS } from "./encrypted.ts";

/* Keys are files in a folder of their own, each its owner's alone. */

/** Within the folder of a gate. */
export const KEYS = "keys";
const SEALING_KEY = "sealing.key";
/** Bytes of the key by which secrets travel to executors. */
const SEALING_BYTES = 32;

/** The private keys of a gate: one for each project, and the one that its executors share with it. */
export class ProjectKeys {
  readonly #folder: string;
  readonly #making = new Map<string, Promise<string>>();

  /** @param folder Made when it is not there. */
  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  }

  /** The public key of a project, as PEM. A project gets its key when it is asked for first. */
  async publicKey(project: string): Promise<string> {
    let pem = this.privateKey(project);
    if (pem === undefined) {
      let making = this.#making.get(project);
      if (making === undefined) {
        making = this.#make(project).finally(() => this.#making.delete(project));
        this.#making.set(project, making);
      }
      pem = await making;
    }
    return createPublicKey(pem).export({ type: "spki", format: "pem" }) as string;
  }

  /** As PEM; `undefined`: nothing can have been encrypted for the project. */
  privateKey(project: string): string | undefined {
    const path = this.#pathOf(project);
    return existsSync(path) ? readFileSync(path, "utf8") : undefined;
  }

  async #make(project: string): Promise<string> {
    const { privateKey } = await promisify(generateKeyPair)("rsa", { modulusLength: KEY_BITS });
    const pem = privateKey.export({ type: "pkcs8", format: "pem" }) as string;
    writePrivate(this.#pathOf(project), pem);
    return pem;
  }

  #pathOf(project: string): string {
    return join(this.#folder, `${encodeURIComponent(project)}.pem`);
  }

  /** The key by which secrets are sealed on their way to executors. */
  sealingKey(): Buffer {
    const path = join(this.#folder, SEALING_KEY);
    if (!existsSync(path)) writePrivate(path, `${randomBytes(SEALING_BYTES).toString("base64")}\n`);
    return readSealingKey(path);
  }
}

/**
 * Reads the key that a gate shares with its executors.
 * @throws when there is none.
 */
export function readSealingKey(path: string): Buffer {
  const key = Buffer.from(readFileSync(path, "utf8"), "base64");
  if (key.length !== SEALING_BYTES) throw new Error(`${path} is no key of a gate`);
  return key;
}

/** On the disk when it returns: what is encrypted for a key that a power cut took is lost. */
function writePrivate(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600, flush: true });
  renameSync(`${path}.new`, path);
  const folder = openSync(dirname(path), "r");
  fsyncSync(folder);
  closeSync(folder);
}
