import { printable } from "@drover/protocol";
import { AuthError, createToken, readTokenFile, revokeToken, stateOfToken } from "@drover/server";
import { writeJson } from "../admin/show.ts";
import { suggestion } from "../config/nearest.ts";
import { resolveConfig } from "../config/resolve.ts";
import { UsageError } from "../errors.ts";
import { tableLines } from "../terminal/table.ts";
import { durationMs } from "../times.ts";

export interface TokenFlags {
  readonly file?: string;
  readonly config?: string;
  readonly expires?: string;
  readonly note?: string;
  readonly json?: boolean;
}

/** Prints the new token alone on standard output, so that it can be kept in a file. */
export function create(identity: string, flags: TokenFlags): void {
  const { file, identities } = place(flags);
  if (identities !== undefined && !identities.includes(identity)) {
    throw new UsageError(
      "OPTION_INVALID",
      `auth.identities of drover.yaml has no ${JSON.stringify(identity)}${suggestion(identity, identities)}`,
    );
  }
  const now = new Date();
  const expires =
    flags.expires === undefined
      ? undefined
      : new Date(now.getTime() + durationMs(flags.expires, "--expires"));
  const { id, text } = changing(file, () => createToken(file, { identity, expires, note: flags.note }, now));
  process.stderr.write(
    `drover: token ${id} of ${identity}${expires === undefined ? "" : `, valid until ${expires.toISOString()}`}, in ${file}\n`,
  );
  process.stdout.write(`${text}\n`);
}

export function list(flags: TokenFlags): void {
  const { file } = place(flags);
  const nowMs = Date.now();
  const rows = changing(file, () => readTokenFile(file)).map((record) => {
    const { sha256: _, ...shown } = record;
    return { ...shown, state: stateOfToken(record, nowMs) };
  });
  if (flags.json === true) {
    writeJson(rows);
    return;
  }
  const minute = (time: string | undefined) => time?.slice(0, 16).replace("T", " ") ?? "-";
  const columns = ["id", "identity", "state", "created", "expires", "note"].map((title) => ({ title }));
  const cells = rows.map(({ id, identity, state, created, expires, note }) => [
    id,
    printable(identity),
    state,
    minute(created),
    minute(expires),
    printable(note ?? ""),
  ]);
  process.stdout.write(`${tableLines(columns, cells).join("\n")}\n`);
}

export function revoke(id: string, flags: TokenFlags): void {
  const { file } = place(flags);
  changing(file, () => revokeToken(file, id, new Date()));
  process.stderr.write(`drover: token ${id} is revoked\n`);
}

/** The file of tokens, and the identities that there are, where a drover.yaml says it. */
function place(flags: TokenFlags): { file: string; identities: readonly string[] | undefined } {
  const { contents } = resolveConfig({
    flags: new Map(),
    environment: process.env,
    configFile: flags.config,
  });
  const auth = contents?.config.auth;
  const file = flags.file ?? auth?.tokens;
  if (file === undefined) {
    throw new UsageError(
      "OPTION_INVALID",
      "name the file of tokens: --file FILE, or auth.tokens in drover.yaml",
    );
  }
  // Another file may be another server's.
  const isOurs = auth !== undefined && file === auth.tokens;
  return { file, identities: isOurs ? Object.keys(auth.identities) : undefined };
}

function changing<T>(file: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (error instanceof AuthError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    throw new UsageError("TOKEN_UNREADABLE", `cannot use the file of tokens ${file} (${code ?? message})`);
  }
}
