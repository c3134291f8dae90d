import {
  closeSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { AuthError } from "./errors.ts";
import { makeToken } from "./token.ts";

/*
 * The file of tokens: a line of JSON that names its version, then one for each token. Secrets are in it as digests only;
 * it is kept from others all the same, since who can write to it can let himself in.
 */

/** One token as the file has it. Times are ISO 8601. */
export interface TokenRecord {
  readonly id: string;
  /** Name of the identity whose rights it has. */
  readonly identity: string;
  readonly sha256: string;
  readonly created: string;
  readonly expires?: string;
  readonly revoked?: string;
  readonly note?: string;
}

const HEAD = { droverTokens: 1 };
const MAX_FILE_BYTES = 16 * 1024 * 1024;

/**
 * Reads a file of tokens.
 * @throws AuthError `TOKEN_FILE_EXPOSED` when others may read or write it, `TOKEN_FILE_INVALID` with the line that is
 * wrong; the system's error when it cannot be read.
 */
export function readTokenFile(path: string): TokenRecord[] {
  const fd = openSync(path, "r");
  try {
    const { mode, size } = fstatSync(fd);
    // Windows has no such modes, and shows every file as open to all.
    const others = process.platform === "win32" ? 0 : mode & 0o077;
    if (others !== 0) {
      throw new AuthError(
        "TOKEN_FILE_EXPOSED",
        `${path} has the mode ${(mode & 0o777).toString(8)}, so that others may read or write it: chmod 600 ${path}`,
      );
    }
    if (size > MAX_FILE_BYTES) throw invalid(path, 1, `the file has ${size} bytes, limit ${MAX_FILE_BYTES}`);
    return parseTokens(readFileSync(fd, "utf8"), path);
  } finally {
    closeSync(fd);
  }
}

/** @throws AuthError `TOKEN_FILE_INVALID` */
export function parseTokens(text: string, path: string): TokenRecord[] {
  const records: TokenRecord[] = [];
  const ids = new Set<string>();
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  lines.forEach((line, index) => {
    const value = parsed(line, path, index + 1);
    if (index === 0) {
      if (value.droverTokens !== HEAD.droverTokens)
        throw invalid(path, 1, "is no head of a file of tokens of this version");
      return;
    }
    const record = recordOf(value);
    if (record === undefined) throw invalid(path, index + 1, "is no token");
    if (ids.has(record.id)) throw invalid(path, index + 1, `has the id ${record.id} a second time`);
    ids.add(record.id);
    records.push(record);
  });
  if (lines.length === 0) throw invalid(path, 1, "the file is empty");
  return records;
}

function parsed(line: string, path: string, number: number): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch {
    // What the parser says would show the line.
  }
  throw invalid(path, number, "is no JSON object");
}

const TEXTS: Readonly<Record<keyof TokenRecord, { readonly form: RegExp; readonly optional?: true }>> = {
  id: { form: /^[0-9a-f]{12}$/ },
  identity: { form: /^.+$/s },
  sha256: { form: /^[0-9a-f]{64}$/ },
  created: { form: /^\d{4}-\d\d-\d\dT/ },
  expires: { form: /^\d{4}-\d\d-\d\dT/, optional: true },
  revoked: { form: /^\d{4}-\d\d-\d\dT/, optional: true },
  note: { form: /^/, optional: true },
};

function recordOf(value: Record<string, unknown>): TokenRecord | undefined {
  for (const [key, { form, optional }] of Object.entries(TEXTS)) {
    const text = value[key];
    if (text === undefined && optional === true) continue;
    if (typeof text !== "string" || !form.test(text)) return undefined;
  }
  // A key that is not known may be a limit that this version would pass over.
  if (Object.keys(value).some((key) => !(key in TEXTS))) return undefined;
  for (const key of ["created", "expires", "revoked"] as const) {
    if (value[key] !== undefined && Number.isNaN(Date.parse(value[key] as string))) return undefined;
  }
  return value as unknown as TokenRecord;
}

function invalid(path: string, line: number, what: string): AuthError {
  return new AuthError("TOKEN_FILE_INVALID", `${path}:${line}: ${what}`);
}

export type TokenState = "valid" | "expired" | "revoked";

export function stateOfToken({ expires, revoked }: TokenRecord, nowMs: number): TokenState {
  if (revoked !== undefined) return "revoked";
  return expires !== undefined && Date.parse(expires) <= nowMs ? "expired" : "valid";
}

/**
 * Adds a token to a file, which is made where there is none.
 * @returns the token's text, which nobody can be told again.
 * @throws as `readTokenFile`
 */
export function createToken(
  path: string,
  wanted: {
    readonly identity: string;
    readonly expires?: Date | undefined;
    readonly note?: string | undefined;
  },
  now: Date,
): { readonly id: string; readonly text: string } {
  const { id, text, sha256 } = makeToken();
  const { identity, expires, note } = wanted;
  change(path, true, (records) => [
    ...records,
    {
      id,
      identity,
      sha256,
      created: now.toISOString(),
      ...(expires === undefined ? {} : { expires: expires.toISOString() }),
      ...(note === undefined ? {} : { note }),
    },
  ]);
  return { id, text };
}

/**
 * Ends a token. It stays in the file, so that a listing still tells whose it was.
 * @throws AuthError `TOKEN_UNKNOWN`, and as `readTokenFile`
 */
export function revokeToken(path: string, id: string, now: Date): void {
  change(path, false, (records) => {
    if (!records.some((record) => record.id === id)) {
      throw new AuthError(
        "TOKEN_UNKNOWN",
        `${path} has no token ${JSON.stringify(id)}: see drover token list`,
      );
    }
    return records.map((record) =>
      record.id === id && record.revoked === undefined ? { ...record, revoked: now.toISOString() } : record,
    );
  });
}

/** Writes the file anew beside the old one, which it replaces when it is whole. Only one program does so at a time. */
function change(
  path: string,
  mayBeNew: boolean,
  changed: (records: readonly TokenRecord[]) => readonly TokenRecord[],
): void {
  const beside = `${path}.new`;
  let fd: number;
  try {
    fd = openSync(beside, "wx", 0o600);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    throw new AuthError(
      "TOKEN_FILE_INVALID",
      `${beside} is there: another command changes the tokens now, or was ended while it did; then remove it`,
    );
  }
  try {
    const before = existing(path, mayBeNew);
    const lines = [HEAD, ...changed(before.records)].map((line) => `${JSON.stringify(line)}\n`);
    writeFileSync(fd, lines.join(""));
    // As root for a server of another user: the file stays that user's.
    if (before.owner !== undefined && before.owner.uid !== fstatSync(fd).uid) {
      fchownSync(fd, before.owner.uid, before.owner.gid);
    }
    fsyncSync(fd);
    renameSync(beside, path);
  } catch (error) {
    rmSync(beside, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
}

function existing(
  path: string,
  mayBeNew: boolean,
): { records: readonly TokenRecord[]; owner?: { readonly uid: number; readonly gid: number } } {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch (error) {
    if (mayBeNew && (error as NodeJS.ErrnoException).code === "ENOENT") return { records: [] };
    throw error;
  }
  const owner = fstatSync(fd);
  closeSync(fd);
  return { records: readTokenFile(path), owner };
}
