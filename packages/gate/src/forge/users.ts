import { isSecretOf, makeToken, readToken } from "@drover/server";
import type { GateDatabase } from "../store/database.ts";
import { ForgeError } from "./errors.ts";

/**
 * Operators may do everything; users push for review, comment, and approve what is not their own; workers are executors and
 * mergers on other machines, and may read repositories and bring what they made, nothing else.
 */
export type Role = "user" | "operator" | "worker";

export interface User {
  readonly name: string;
  readonly role: Role;
}

/** A token without its secret, which nobody can be told again. Times are milliseconds since 1970. */
export interface UserToken {
  readonly id: string;
  readonly user: string;
  readonly note: string | null;
  readonly createdMs: number;
  readonly expiresMs: number | null;
  readonly revokedMs: number | null;
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/;
const MAX_NOTE_LENGTH = 200;

/** Who may write, and the tokens by which they show it: `drover_ID_SECRET`, kept as digests only. */
export class Users {
  readonly #db: GateDatabase;
  readonly #nowMs: () => number;

  constructor(db: GateDatabase, nowMs: () => number = Date.now) {
    this.#db = db;
    this.#nowMs = nowMs;
  }

  /**
   * Adds a user, or gives one another role.
   * @param role - default: what he has, and `user` for a new one
   * @returns his role
   * @throws ForgeError `USER_INVALID`
   */
  add(name: string, role: Role = this.find(name)?.role ?? "user"): Role {
    if (!NAME.test(name)) {
      throw new ForgeError(
        "USER_INVALID",
        `${JSON.stringify(name.slice(0, 80))}: a user's name has 1 to 64 letters, digits, '.', '_', '@' and '-', the first a letter or digit`,
      );
    }
    if (role !== "user" && role !== "operator" && role !== "worker")
      throw new ForgeError("USER_INVALID", "a role is user, operator or worker");
    this.#db.db
      .prepare(
        "INSERT INTO forge_users (name, role, created_ms) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET role = excluded.role",
      )
      .run(name, role, this.#nowMs());
    return role;
  }

  /** Ends a user and all of its tokens. @throws ForgeError `USER_UNKNOWN` */
  remove(name: string): void {
    this.#db.transaction(() => {
      if (this.#db.db.prepare("DELETE FROM forge_users WHERE name = ?").run(name).changes === 0)
        throw unknown(name);
      this.#db.db.prepare("DELETE FROM forge_tokens WHERE user = ?").run(name);
    });
  }

  list(): User[] {
    return this.#db.db.prepare("SELECT name, role FROM forge_users ORDER BY name").all() as unknown as User[];
  }

  find(name: string): User | undefined {
    return this.#db.db.prepare("SELECT name, role FROM forge_users WHERE name = ?").get(name) as unknown as
      | User
      | undefined;
  }

  /** @returns the token's text, known at this moment only. @throws ForgeError `USER_UNKNOWN` */
  createToken(
    user: string,
    wanted: { readonly expiresMs?: number; readonly note?: string } = {},
  ): { readonly id: string; readonly text: string } {
    if (this.find(user) === undefined) throw unknown(user);
    const { id, text, sha256 } = makeToken();
    this.#db.db
      .prepare(
        "INSERT INTO forge_tokens (id, user, sha256, note, created_ms, expires_ms) VALUES (?, ?, ?, ?, ?, ?)",
      )
      .run(
        id,
        user,
        sha256,
        wanted.note?.slice(0, MAX_NOTE_LENGTH) ?? null,
        this.#nowMs(),
        wanted.expiresMs ?? null,
      );
    return { id, text };
  }

  tokens(): UserToken[] {
    return this.#db.db
      .prepare(
        `SELECT id, user, note, created_ms AS createdMs, expires_ms AS expiresMs, revoked_ms AS revokedMs
         FROM forge_tokens ORDER BY created_ms, id`,
      )
      .all() as unknown as UserToken[];
  }

  /** Ends a token, which stays listed. @throws ForgeError `TOKEN_UNKNOWN` */
  revokeToken(id: string): void {
    const done = this.#db.db
      .prepare("UPDATE forge_tokens SET revoked_ms = coalesce(revoked_ms, ?) WHERE id = ?")
      .run(this.#nowMs(), id);
    if (done.changes === 0) throw new ForgeError("TOKEN_UNKNOWN", `there is no token ${JSON.stringify(id)}`);
  }

  /**
   * Whose token this is, while it is valid.
   * @param name Where one was said beside the token: it must be the token's.
   */
  authenticate(token: string, name?: string): User | undefined {
    const read = readToken(token);
    if (read === undefined) return undefined;
    const row = this.#db.db
      .prepare(
        `SELECT u.name, u.role, t.sha256, t.expires_ms, t.revoked_ms
         FROM forge_tokens t JOIN forge_users u ON u.name = t.user WHERE t.id = ?`,
      )
      .get(read.id) as
      | { name: string; role: Role; sha256: string; expires_ms: number | null; revoked_ms: number | null }
      | undefined;
    if (row === undefined || !isSecretOf(read.secret, row.sha256) || row.revoked_ms !== null)
      return undefined;
    if (row.expires_ms !== null && row.expires_ms <= this.#nowMs()) return undefined;
    if (name !== undefined && name !== "" && name !== row.name) return undefined;
    return { name: row.name, role: row.role };
  }
}

function unknown(name: string): ForgeError {
  return new ForgeError("USER_UNKNOWN", `there is no user ${JSON.stringify(name.slice(0, 80))}`);
}
