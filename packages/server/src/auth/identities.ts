import { statSync } from "node:fs";
import {
  Account,
  ANYONE,
  Identity,
  type IdentityLimits,
  type IdentitySource,
  type Rights,
  STRANGER,
} from "../core/index.ts";
import type { Log } from "../note-log.ts";
import { AuthError } from "./errors.ts";
import { Networks } from "./networks.ts";
import { OneUseSecrets } from "./one-use.ts";
import { isSecretOf, readToken } from "./token.ts";
import { readTokenFile, stateOfToken, type TokenRecord } from "./token-file.ts";

/** An identity: what it may do, and who it is. */
export interface IdentityRule {
  readonly name: string;
  readonly rights: Rights;
  readonly limits?: Partial<IdentityLimits>;
  /** Names in client certificates. */
  readonly certificates?: readonly string[];
  /** Addresses of peers: `10.0.0.0/8`, `::1`. */
  readonly networks?: readonly string[];
  /** Paths of Unix sockets on which the server listens. */
  readonly sockets?: readonly string[];
  /** Addresses on which the server listens, as `formatAddress` writes them. */
  readonly listeners?: readonly string[];
}

/** Who is who. */
export interface IdentityRules {
  readonly rules: readonly IdentityRule[];
  /** Name of the identity of everybody else; undefined: they have none. */
  readonly anonymous?: string | undefined;
  /** File of tokens. Default: there are none. */
  readonly tokenFile?: string | undefined;
}

/** What a peer shows of itself. */
export interface Evidence {
  readonly token?: string | undefined;
  /** Names in the client certificate, where the transport has verified one. */
  readonly certificateNames?: readonly string[] | undefined;
  /** Where the server listens for it, as `formatAddress` writes it. */
  readonly listener?: string | undefined;
  /** IP address of the peer; the socket's path with `isUnix`. */
  readonly address?: string | undefined;
  readonly isUnix?: boolean | undefined;
}

const TICKET_MS = 30_000;
const MAX_TICKETS = 10_000;
/** How often the file of tokens is looked at, and with it whether a token has expired. */
const LOOK_MS = 1_000;

/** A rule with what it is made of, ready to be asked. */
interface Compiled {
  readonly rule: IdentityRule;
  readonly account: Account | null;
  readonly certificates: ReadonlySet<string>;
  readonly networks: Networks;
}

/**
 * Who is at the other end: the client certificate's name decides, else the token, else the listener, Unix socket or
 * network, else it is anonymous. The file of tokens is watched; `onChange` is told when an identity may have ended.
 */
export class Identities {
  /** Told after rules or tokens have changed, or a token has expired. */
  onChange: (reason: string) => void = () => {};
  readonly #log: Log;
  readonly #nowMs: () => number;
  readonly #accounts = new Map<string, Account>();
  readonly #tickets = new OneUseSecrets(TICKET_MS, MAX_TICKETS);
  readonly #timer: NodeJS.Timeout;
  /** What the identities in use were assigned by. */
  readonly #assignments = new WeakMap<Identity, string>();
  #rules: IdentityRules = { rules: [] };
  #compiled = new Map<string, Compiled>();
  #tokens = new Map<string, TokenRecord>();
  #made = new Map<string, Identity>();
  /** What the file looked like when it was read. */
  #fileMark = "";
  #nextExpiryMs = Number.POSITIVE_INFINITY;

  /**
   * @param nowMs The wall clock.
   * @throws AuthError, or the system's error when the file of tokens cannot be read.
   */
  constructor(rules: IdentityRules, log: Log, nowMs: () => number = Date.now) {
    this.#log = log;
    this.#nowMs = nowMs;
    this.#take(rules);
    this.#timer = setInterval(() => this.look(), LOOK_MS).unref();
  }

  /** Whether a peer that shows nothing has an identity. */
  get hasAnonymous(): boolean {
    return this.#rules.anonymous !== undefined;
  }

  /**
   * The identity of a peer; null when it has none, or shows a token that is not valid.
   * @see docs/OPERATING.md
   */
  resolve(evidence: Evidence): Identity | null {
    const { token, certificateNames = [] } = evidence;
    const names = certificateNames.map((name) => name.toLowerCase());
    for (const { rule, certificates } of this.#compiled.values()) {
      if (names.some((name) => certificates.has(name))) return this.#identity(rule.name, "certificate");
    }
    if (token !== undefined) return this.#ofToken(token);
    for (const compiled of this.#compiled.values()) {
      if (isAt(compiled, evidence)) return this.#identity(compiled.rule.name, "place");
    }
    const { anonymous } = this.#rules;
    return anonymous === undefined ? null : this.#identity(anonymous, "anonymous");
  }

  /** What a token makes of a connection that has an identity: a certificate's name goes before it. */
  authenticate(token: string, current: Identity): Identity | null {
    const found = this.#ofToken(token);
    return found !== null && current.source === "certificate" ? current : found;
  }

  /**
   * The identity that has taken the place of one given out before; null when it has ended: its token was revoked or has
   * expired, or it is not, or not so, in the rules any more.
   */
  renew(identity: Identity): Identity | null {
    const { name, source, tokenId } = identity;
    if (identity === ANYONE || identity === STRANGER) return identity;
    if (source === "token") return this.#ofRecord(this.#tokens.get(tokenId));
    if (!this.#compiled.has(name)) return null;
    const unchanged = this.#assignments.get(identity) === this.#assignment(name, source);
    return unchanged ? this.#identity(name, source) : null;
  }

  /** A secret by which a page of this origin becomes the identity once, within 30 s. At most 10,000 are kept. */
  issueTicket(identity: Identity, origin: string): string {
    return this.#tickets.issue(identity, origin, this.#nowMs());
  }

  /** The identity of a ticket, which is used up; null when it is not valid. */
  redeemTicket(ticket: string, origin: string): Identity | null {
    const identity = this.#tickets.redeem(ticket, origin, this.#nowMs());
    return identity === null ? null : this.renew(identity);
  }

  /**
   * Takes other rules into use, and reads the file of tokens again.
   * @throws as the constructor, and then nothing has changed.
   */
  reconfigure(rules: IdentityRules): void {
    this.#take(rules);
    this.onChange("identities or tokens have changed");
  }

  /** Reads the file of tokens if it has changed, and notices what has expired. Done each second by itself. */
  look(): void {
    const nowMs = this.#nowMs();
    const { tokenFile } = this.#rules;
    if (tokenFile !== undefined && markOf(tokenFile) !== this.#fileMark) {
      this.#readAgain(tokenFile);
      this.onChange("its token has ended");
    } else if (nowMs >= this.#nextExpiryMs) {
      this.#noteExpiry();
      this.onChange("its token has expired");
    }
  }

  /** Ends the watching. */
  close(): void {
    clearInterval(this.#timer);
  }

  #take(rules: IdentityRules): void {
    const mark = rules.tokenFile === undefined ? "" : markOf(rules.tokenFile);
    const records = rules.tokenFile === undefined ? [] : readTokenFile(rules.tokenFile);
    const compiled = new Map<string, Compiled>();
    for (const rule of rules.rules) compiled.set(rule.name, this.#compile(rule));
    const { anonymous } = rules;
    if (anonymous !== undefined && !compiled.has(anonymous)) {
      throw new AuthError("AUTH_INVALID", `anonymous: there is no identity ${JSON.stringify(anonymous)}`);
    }
    this.#rules = rules;
    this.#compiled = compiled;
    for (const { rule, account } of compiled.values()) {
      if (account === null) {
        this.#accounts.delete(rule.name);
      } else {
        account.limits = limitsOf(rule);
        this.#accounts.set(rule.name, account);
      }
    }
    this.#fileMark = mark;
    this.#useTokens(records);
  }

  #compile(rule: IdentityRule): Compiled {
    const limits = limitsOf(rule);
    const isLimited = Object.values(limits).some((limit) => limit > 0);
    return {
      rule,
      // What is used under a name goes on to count when its limits change.
      account: isLimited ? (this.#accounts.get(rule.name) ?? new Account(limits)) : null,
      certificates: new Set((rule.certificates ?? []).map((name) => name.toLowerCase())),
      networks: new Networks(rule.networks ?? []),
    };
  }

  #readAgain(tokenFile: string): void {
    // Before it is read: a change meanwhile is read once more.
    this.#fileMark = markOf(tokenFile);
    try {
      this.#useTokens(readTokenFile(tokenFile));
      this.#log.info({ tokens: this.#tokens.size }, "read the tokens again");
    } catch (error) {
      const isGone = (error as NodeJS.ErrnoException).code === "ENOENT";
      if (isGone) this.#useTokens([]);
      const meaning = isGone ? "no token is valid any more" : "those read before stay valid";
      this.#log.error(
        { code: "TOKENS_UNREADABLE", problem: (error as Error).message },
        `cannot read the tokens: ${meaning}`,
      );
    }
  }

  #useTokens(records: readonly TokenRecord[]): void {
    this.#tokens = new Map(records.map((record) => [record.id, record]));
    this.#made = new Map();
    this.#noteExpiry();
    for (const { id, identity } of records) {
      if (!this.#compiled.has(identity)) {
        this.#log.warn({ token: id, identity }, "a token is for an identity that is not configured");
      }
    }
  }

  #noteExpiry(): void {
    const nowMs = this.#nowMs();
    this.#nextExpiryMs = Number.POSITIVE_INFINITY;
    for (const { expires } of this.#tokens.values()) {
      const atMs = expires === undefined ? Number.POSITIVE_INFINITY : Date.parse(expires);
      if (atMs > nowMs && atMs < this.#nextExpiryMs) this.#nextExpiryMs = atMs;
    }
  }

  #ofToken(text: string): Identity | null {
    const token = readToken(text);
    const record = token === undefined ? undefined : this.#tokens.get(token.id);
    if (record === undefined || !isSecretOf(token!.secret, record.sha256)) return null;
    return this.#ofRecord(record);
  }

  #ofRecord(record: TokenRecord | undefined): Identity | null {
    if (record === undefined || stateOfToken(record, this.#nowMs()) !== "valid") return null;
    return this.#compiled.has(record.identity) ? this.#identity(record.identity, "token", record.id) : null;
  }

  /** The one object for a name, a source and a token. */
  #identity(name: string, source: IdentitySource, tokenId = ""): Identity {
    const key = `${source} ${tokenId} ${name}`;
    let identity = this.#made.get(key);
    if (identity === undefined) {
      const { rule, account } = this.#compiled.get(name)!;
      identity = new Identity(name, rule.rights, { account, source, tokenId });
      this.#made.set(key, identity);
      this.#assignments.set(identity, this.#assignment(name, source));
    }
    return identity;
  }

  /** What makes a peer of this source this identity, in a form that can be compared. */
  #assignment(name: string, source: IdentitySource): string {
    const { certificates, networks, sockets, listeners } = this.#compiled.get(name)!.rule;
    if (source === "certificate") return JSON.stringify(certificates);
    if (source === "place") return JSON.stringify([networks, sockets, listeners]);
    return String(this.#rules.anonymous === name);
  }
}

function limitsOf({ limits = {} }: IdentityRule): IdentityLimits {
  const { submissionsPerS = 0, burst = submissionsPerS } = limits;
  const { maxJobs = 0, maxQueuedBytes = 0, maxConnections = 0 } = limits;
  return { submissionsPerS, burst, maxJobs, maxQueuedBytes, maxConnections };
}

function isAt({ rule, networks }: Compiled, { listener, address, isUnix }: Evidence): boolean {
  if (listener !== undefined && rule.listeners?.includes(listener) === true) return true;
  if (address === undefined) return false;
  return isUnix === true ? rule.sockets?.includes(address) === true : networks.has(address);
}

/** Changes when the file is changed or replaced; empty when it cannot be had. */
function markOf(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false, bigint: true });
  return stat === undefined ? "" : `${stat.ino} ${stat.mtimeNs} ${stat.ctimeNs} ${stat.size}`;
}
