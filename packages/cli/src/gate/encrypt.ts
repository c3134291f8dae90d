import { readFile } from "node:fs/promises";
import { buffer } from "node:stream/consumers";
import { encryptedSecret } from "@drover/gate";
import { CommandFailed, UsageError } from "../errors.ts";
import { GateApi } from "./api.ts";
import { type GateFlags, gatePlace } from "./place.ts";

export interface EncryptFlags extends GateFlags {
  readonly project: string;
  readonly secretName: string;
  readonly fieldName: string;
  readonly strip: boolean;
}

/** Longest text that is encrypted. A file of configuration has room for about so much. */
const MAX_BYTES = 128 * 1024;

/** Prints a `secret` that only the gate can read. */
export async function encrypt(file: string, flags: EncryptFlags): Promise<void> {
  const { project, secretName, fieldName, strip } = flags;
  const given = await read(file);
  const bytes = strip ? Buffer.from(given.toString("latin1").trim(), "latin1") : given;
  if (bytes.length === 0) throw new UsageError("OPTION_INVALID", "there is nothing to encrypt");
  if (bytes.length > MAX_BYTES)
    throw new UsageError("OPTION_INVALID", `a secret has at most ${MAX_BYTES} bytes, not ${bytes.length}`);
  const path = `/projects/${encodeURIComponent(project)}/key`;
  const publicKey = await (await new GateApi(gatePlace(flags)).fetch(path)).text();
  process.stdout.write(encryptedSecret(publicKey, secretName, fieldName, bytes));
}

async function read(file: string): Promise<Buffer> {
  if (file === "-") return await buffer(process.stdin);
  try {
    return await readFile(file);
  } catch (error) {
    throw new CommandFailed("INPUT_UNREADABLE", (error as Error).message, { cause: error });
  }
}
