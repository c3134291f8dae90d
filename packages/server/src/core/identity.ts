import { matchesGlob } from "./glob.ts";

/** What an identity may do. Functions are given by globs, as byte strings. */
export interface Rights {
  readonly submit: readonly string[];
  readonly work: readonly string[];
  /** Look at everything: status and outcome of every job, the listings of the admin text. */
  readonly status: boolean;
  /** Change what is not its own: cancel, pause, limits, dead letters, shutdown. Includes `status`. */
  readonly admin: boolean;
  /** Be another server of the fleet, whose submissions are never forwarded again. Default: false. */
  readonly peer?: boolean;
}

export const ALL_RIGHTS: Rights = { submit: ["*"], work: ["*"], status: true, admin: true };
export const NO_RIGHTS: Rights = { submit: [], work: [], status: false, admin: false };

/** What an identity may use, over all its connections; 0 = no limit. */
export interface IdentityLimits {
  /** Submissions a second in the long run; above it `RATE_LIMITED`. */
  readonly submissionsPerS: number;
  /** Submissions that may come at once after a silence. */
  readonly burst: number;
  /** Unfinished jobs; above it `QUEUE_ERROR`. */
  readonly maxJobs: number;
  /** Workloads of unfinished jobs; above it `QUEUE_ERROR`. */
  readonly maxQueuedBytes: number;
  /** Connections at one time; above it `QUEUE_ERROR`, then close. */
  readonly maxConnections: number;
}

/** What an identity uses, within its limits. One for each name: those who share the identity share it. */
export class Account {
  /** May be replaced while in use. */
  limits: IdentityLimits;
  connections = 0;
  jobs = 0;
  queuedBytes = 0;
  /** Submissions that may come now, when it was last counted. */
  #tokens = Number.POSITIVE_INFINITY;
  #countedMs = 0;

  constructor(limits: IdentityLimits) {
    this.limits = limits;
  }

  /** Takes a submission from what may come now. @returns false when there is none left. */
  takeSubmission(nowMs: number): boolean {
    const { submissionsPerS, burst } = this.limits;
    if (submissionsPerS === 0) return true;
    const since = nowMs - this.#countedMs;
    this.#tokens = Math.min(Math.max(1, burst), this.#tokens + (since * submissionsPerS) / 1000);
    this.#countedMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }

  /** The limit that leaves no room for one more job of so many bytes, or null. */
  limitOfJobs(bytes: number): "maxJobs" | "maxQueuedBytes" | null {
    const { maxJobs, maxQueuedBytes } = this.limits;
    if (maxJobs > 0 && this.jobs >= maxJobs) return "maxJobs";
    return maxQueuedBytes > 0 && this.queuedBytes + bytes > maxQueuedBytes ? "maxQueuedBytes" : null;
  }

  /** Whether jobs are counted at all. */
  get countsJobs(): boolean {
    return this.limits.maxJobs > 0 || this.limits.maxQueuedBytes > 0;
  }

  get isFullOfConnections(): boolean {
    const { maxConnections } = this.limits;
    return maxConnections > 0 && this.connections >= maxConnections;
  }
}

/** How a connection came by its identity. */
export type IdentitySource = "certificate" | "token" | "place" | "anonymous" | "default";

/**
 * Who is at the other end of a connection, as far as the server is concerned: a name with rights. Connections that
 * prove the same in the same way share one, so that it can be compared by reference.
 */
export class Identity {
  readonly name: string;
  readonly rights: Rights;
  readonly account: Account | null;
  readonly source: IdentitySource;
  /** Id of the token that proved it; empty for other sources. */
  readonly tokenId: string;
  readonly #submitsAll: boolean;
  readonly #worksAll: boolean;

  constructor(
    name: string,
    rights: Rights,
    { account = null, source = "default", tokenId = "" }: IdentityOrigin = {},
  ) {
    this.name = name;
    this.rights = rights;
    this.account = account;
    this.source = source;
    this.tokenId = tokenId;
    this.#submitsAll = rights.submit.includes("*");
    this.#worksAll = rights.work.includes("*");
  }

  /** @param fn Name as a byte string. */
  maySubmit(fn: string): boolean {
    return this.#submitsAll || this.rights.submit.some((glob) => matchesGlob(glob, fn));
  }

  mayWork(fn: string): boolean {
    return this.#worksAll || this.rights.work.some((glob) => matchesGlob(glob, fn));
  }

  /** Status, reports and outcome of jobs of a function: handles can be guessed, so knowing one proves nothing. */
  mayLookAt(fn: string): boolean {
    return this.mayLookAtAll || this.maySubmit(fn);
  }

  get mayLookAtAll(): boolean {
    return this.rights.status || this.rights.admin;
  }

  get mayAdminister(): boolean {
    return this.rights.admin;
  }
}

export interface IdentityOrigin {
  readonly account?: Account | null;
  readonly source?: IdentitySource;
  readonly tokenId?: string;
}

/** Everybody, where there is no authentication. */
export const ANYONE = new Identity("anyone", ALL_RIGHTS);

/** Somebody who has not authenticated yet, and may do nothing else. */
export const STRANGER = new Identity("stranger", NO_RIGHTS);
