import { type Backoff, ketamaRing, type RoutedServer, ringRank } from "@drover/client";
import type { TlsClientOptions } from "@drover/transport";
import { BackendError } from "../backend-errors.ts";
import { broken, type MemcachedConnection, type Request } from "./connection.ts";
import { MemcachedNode } from "./node.ts";
import type { Reply } from "./reply-stream.ts";
import {
  checkWhole,
  flagsArgument,
  lengthArgument,
  metaLine,
  type Token,
  ttlArgument,
  type WireKey,
  wireKey,
} from "./requests.ts";

/** A memcached of several. */
export interface MemcachedServer {
  /** `host:port`, `[v6]:port`, `tls://host:port` or `unix:/path`. Port by default: 11211. */
  readonly address: string;
  /** What the ring hashes; the same in all clients, and for good. Default: the address. */
  readonly name?: string;
  /** Share of the keys, in proportion to the others'. Default: 1. */
  readonly weight?: number;
}

export interface MemcachedClientOptions {
  /** One or more. Default: `localhost:11211`. */
  readonly servers?: readonly (string | MemcachedServer)[];
  /** Of `tls://`. */
  readonly tls?: TlsClientOptions;
  /**
   * What becomes of the keys of a node that does not answer. `fail`: calls reject until it is back. `next`: the next node of
   * the ring has them meanwhile; when the first is back without having been restarted, it still holds what was replaced or
   * deleted elsewhere, and serves it until its time to live ends. Default: `fail`.
   */
  readonly whenEjected?: "fail" | "next";
  /** How long a node that failed is left alone. Default: 100 ms, doubling up to 10 s, of which chance takes up to half. */
  readonly retry?: Backoff;
  /** Default: 1,000. */
  readonly connectTimeoutMs?: number;
  /** From a call to its answer; then the connection is given up, and all calls on it. Default: 1,000. */
  readonly commandTimeoutMs?: number;
  /** Calls on a connection whose answer has not come; more reject. Default: 10,000. */
  readonly maxPipelined?: number;
  /** Bytes that a node has not taken; a call beyond rejects, save one alone. Default: 16 MiB. */
  readonly maxUnsentBytes?: number;
  /** Of a value sent or read; memcached's own limit is 1 MiB with key and head unless `-I` says more. Default: 1 MiB. */
  readonly maxValueBytes?: number;
}

/** The number of a key's state, as one connection has given it: on another one it matches nothing. */
export interface Cas {
  readonly number: string;
  readonly epoch: number;
}

export interface KeyOptions {
  /** Finds the node by this instead of the key, so that keys which belong together are together. */
  readonly routedBy?: string | undefined;
}

export interface GetItemOptions extends KeyOptions {
  /** Leaves an empty placeholder where the key is not, for so many seconds; who made it has `won` (`N`). */
  readonly vivifyS?: number;
  /** One reader has `won` when the time to live falls below so many seconds (`R`). */
  readonly recacheS?: number;
  /** New time to live (`T`). */
  readonly ttlS?: number;
  /** Leaves the value out. */
  readonly headOnly?: boolean;
}

/** What memcached has for a key. */
export interface Item {
  /** Empty for `headOnly`. */
  readonly value: Uint8Array;
  /** Bytes of the value (`s`). */
  readonly bytes: number;
  /** The client's own number with it (`f`). */
  readonly flags: number;
  readonly cas: Cas;
  /** Seconds it has to live (`t`); undefined for no end, and in the answer that made a placeholder. */
  readonly ttlS: number | undefined;
  /** This reader is the one to compute (`W`). */
  readonly won: boolean;
  /** Another reader has won (`Z`). */
  readonly taken: boolean;
  /** Marked as stale (`X`). */
  readonly stale: boolean;
  /** Empty, with flags that no value of ours has: somebody is to fill it. */
  readonly placeholder: boolean;
}

export interface SetItemOptions extends KeyOptions {
  /** Default: `set`. */
  readonly mode?: "set" | "add" | "replace" | "append" | "prepend";
  /** Whole seconds; a longer time than 30 days is sent as a date. Default: no end. */
  readonly ttlS?: number | undefined;
  /** From 1 to 2^32-1: 0 is a placeholder's. Default: 1. */
  readonly flags?: number;
  /** Stores only where nobody wrote since. */
  readonly cas?: Cas | undefined;
  /** Stores in spite of a newer write, marked as stale (`I`): see the traps in the package's README. */
  readonly evenIfOlder?: boolean;
}

/** `exists`: somebody wrote since. `not-stored`: `add` found the key, or another mode did not. */
export type Written = "stored" | "exists" | "not-found" | "not-stored";

export interface DeleteItemOptions extends KeyOptions {
  readonly cas?: Cas | undefined;
  /** Keeps the value, marked as stale, and lets one reader win again (`I`). */
  readonly markStale?: boolean;
  /** With `markStale`: how long it is kept. */
  readonly ttlS?: number;
}

export interface CountOptions extends KeyOptions {
  /** Added; below 0 subtracted, not below 0. */
  readonly by?: number;
  /** Makes the number where it is not. */
  readonly initial?: { readonly value: number; readonly ttlS: number };
}

/** Keys that a batch has on their way at one time. */
const BATCH_KEYS = 500;

const MODES = { set: "S", add: "E", replace: "R", append: "A", prepend: "P" } as const;
const NOTHING = new Uint8Array(0);

/**
 * A client of memcached's meta protocol, over one connection with each node. Nothing is dialled before the first call.
 * All calls reject with a BackendError. @see packages/cache/MEMCACHED.md
 */
export class MemcachedClient {
  readonly nodes: readonly string[];
  readonly #nodes: ReadonlyMap<string, MemcachedNode>;
  readonly #ring;
  readonly #whenEjected: "fail" | "next";
  readonly #maxValueBytes: number;
  #closed: BackendError | undefined;

  constructor(options: MemcachedClientOptions = {}) {
    const servers = (options.servers ?? ["localhost:11211"]).map((server) =>
      typeof server === "string" ? { address: server } : server,
    );
    if (servers.length === 0)
      throw new BackendError("BACKEND_OPTION_INVALID", "there is no memcached to ask");
    this.#maxValueBytes = options.maxValueBytes ?? 1_048_576;
    this.#whenEjected = options.whenEjected ?? "fail";
    const { retry = {}, tls, connectTimeoutMs = 1_000, commandTimeoutMs = 1_000 } = options;
    const { maxPipelined = 10_000, maxUnsentBytes = 16_777_216 } = options;
    for (const [name, value] of Object.entries({
      connectTimeoutMs,
      commandTimeoutMs,
      maxPipelined,
      maxUnsentBytes,
    })) {
      checkWhole(name, value, 1, 0x7fff_ffff);
    }
    const limits = { connectTimeoutMs, commandTimeoutMs, maxPipelined, maxUnsentBytes };
    const nodeOptions = { ...limits, maxValueBytes: this.#maxValueBytes, retry, tls };
    const nodes = new Map<string, MemcachedNode>();
    const routed: RoutedServer[] = [];
    for (const { address, name = address, weight = 1 } of servers) {
      if (nodes.has(name)) throw new BackendError("BACKEND_OPTION_INVALID", `two nodes are called ${name}`);
      if (!(weight > 0 && Number.isFinite(weight))) {
        throw new BackendError("BACKEND_OPTION_INVALID", `the weight of ${name} is ${weight}, not above 0`);
      }
      nodes.set(name, new MemcachedNode(name, address, nodeOptions));
      routed.push({ name, address, weight });
    }
    this.nodes = [...nodes.keys()];
    this.#nodes = nodes;
    this.#ring = ketamaRing(routed);
  }

  /** `mg`. Undefined where there is nothing. */
  async get(key: string | Uint8Array, options: GetItemOptions = {}): Promise<Item | undefined> {
    const tokens: Token[] = [["c"], ["f"], ["t"], ["s"]];
    if (options.headOnly !== true) tokens.push(["v"]);
    if (options.vivifyS !== undefined) tokens.push(["N", lengthArgument("vivifyS", options.vivifyS)]);
    if (options.recacheS !== undefined) tokens.push(["R", lengthArgument("recacheS", options.recacheS)]);
    if (options.ttlS !== undefined) tokens.push(["T", ttlArgument(options.ttlS, Date.now())]);
    const wire = wireKey(key);
    const connection = await this.#connection(options.routedBy ?? key);
    return this.#ask<Item | undefined>(connection, metaRequest("mg", wire, tokens), (reply) => {
      if (reply.status === "EN") return undefined;
      if (reply.status === "VA" || reply.status === "HD") return itemOf(reply, connection);
      throw broken(connection.node, "mg was answered amiss");
    });
  }

  /** `mg` of many keys over all nodes, 500 at a time. One answer for each in their order; an error where one failed. */
  async getMany(
    keys: readonly (string | Uint8Array)[],
    options: GetItemOptions = {},
  ): Promise<(Item | undefined | BackendError)[]> {
    const found: (Item | undefined | BackendError)[] = [];
    for (let at = 0; at < keys.length; at += BATCH_KEYS) {
      const batch = keys
        .slice(at, at + BATCH_KEYS)
        .map((key) => this.get(key, options).catch(asBackendError));
      found.push(...(await Promise.all(batch)));
    }
    return found;
  }

  /** `ms`. */
  async set(key: string | Uint8Array, value: Uint8Array, options: SetItemOptions = {}): Promise<Written> {
    if (value.length > this.#maxValueBytes) {
      throw new BackendError(
        "BACKEND_VALUE_TOO_LARGE",
        `a value has ${value.length} bytes, limit ${this.#maxValueBytes}`,
      );
    }
    const tokens: Token[] = [
      ["T", ttlArgument(options.ttlS, Date.now())],
      ["F", flagsArgument(options.flags ?? 1)],
      ["M", MODES[options.mode ?? "set"]],
    ];
    if (options.evenIfOlder === true) tokens.push(["I"]);
    const wire = wireKey(key);
    const connection = await this.#connection(options.routedBy ?? key);
    if (options.cas !== undefined) {
      // The numbers begin anew with a restart, so that another connection's may fit what it never saw.
      if (options.cas.epoch !== connection.epoch) return "exists";
      tokens.push(["C", options.cas.number]);
    }
    return this.#ask(connection, metaRequest("ms", wire, tokens, value), (reply) =>
      written(reply, connection),
    );
  }

  /** `md`. Whether there was something to delete or to mark; `exists` where `cas` does not fit. */
  async delete(
    key: string | Uint8Array,
    options: DeleteItemOptions = {},
  ): Promise<"deleted" | "not-found" | "exists"> {
    const tokens: Token[] = [];
    if (options.markStale === true) tokens.push(["I"]);
    if (options.ttlS !== undefined) tokens.push(["T", ttlArgument(options.ttlS, Date.now())]);
    const wire = wireKey(key);
    const connection = await this.#connection(options.routedBy ?? key);
    if (options.cas !== undefined) {
      if (options.cas.epoch !== connection.epoch) return "exists";
      tokens.push(["C", options.cas.number]);
    }
    return this.#ask(connection, metaRequest("md", wire, tokens), (reply) => {
      const status = written(reply, connection);
      return status === "stored" ? "deleted" : status === "exists" ? "exists" : "not-found";
    });
  }

  /** `ma`. The number after it; undefined where there is none. */
  async count(key: string | Uint8Array, options: CountOptions = {}): Promise<bigint | undefined> {
    const { by = 1, initial } = options;
    checkWhole("by", by, -Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
    const tokens: Token[] = [["v"], ["D", Math.abs(by)], ["M", by < 0 ? "D" : "I"]];
    if (initial !== undefined) {
      checkWhole("initial", initial.value, 0, Number.MAX_SAFE_INTEGER);
      tokens.push(["J", initial.value], ["N", lengthArgument("ttlS", initial.ttlS)]);
    }
    const wire = wireKey(key);
    const connection = await this.#connection(options.routedBy ?? key);
    return this.#ask<bigint | undefined>(connection, metaRequest("ma", wire, tokens), (reply) => {
      if (reply.status === "NF" || reply.status === "NS") return undefined;
      const text = Buffer.from(reply.value ?? NOTHING).toString("latin1");
      if (!/^\d{1,20}$/.test(text)) throw broken(connection.node, "ma gave no number");
      return BigInt(text);
    });
  }

  /** `mn` of each node: whether it answers. Connects where need be. */
  ping(): Promise<ReadonlyMap<string, BackendError | undefined>> {
    return this.#askAll("mn\r\n", (reply, connection, resolve: (answer: undefined) => void) => {
      if (reply.status !== "MN") throw broken(connection.node, "mn was answered amiss");
      resolve(undefined);
      return true;
    });
  }

  /** `version` of each node. */
  versions(): Promise<ReadonlyMap<string, string | BackendError>> {
    return this.#askAll("version\r\n", (reply, connection, resolve: (answer: string) => void) => {
      if (reply.status !== "VERSION") throw broken(connection.node, "version was answered amiss");
      resolve(reply.words.join(" "));
      return true;
    });
  }

  /** `stats` of each node: names and values as it says them. */
  stats(): Promise<ReadonlyMap<string, ReadonlyMap<string, string> | BackendError>> {
    const parts = new Map<MemcachedConnection, Map<string, string>>();
    return this.#askAll(
      "stats\r\n",
      (reply, connection, resolve: (answer: ReadonlyMap<string, string>) => void) => {
        const part = parts.get(connection) ?? new Map<string, string>();
        parts.set(connection, part);
        if (reply.status === "END") {
          resolve(part);
          return true;
        }
        const [name, ...value] = reply.words;
        // Some hundred lines at most; a peer that does not end is none.
        if (reply.status !== "STAT" || name === undefined || part.size >= 10_000) {
          throw broken(connection.node, "stats was answered amiss");
        }
        part.set(name, value.join(" "));
        return false;
      },
    );
  }

  /** Calls on their way reject with `BACKEND_CLOSED`, and so does every later one. */
  close(): void {
    this.#closed ??= new BackendError("BACKEND_CLOSED", "the memcached client is closed");
    for (const node of this.#nodes.values()) node.close(this.#closed);
  }

  #connection(key: string | Uint8Array): Promise<MemcachedConnection> | MemcachedConnection {
    if (this.#closed !== undefined) throw this.#closed;
    const rank = ringRank(this.#ring, key);
    const first = this.#nodes.get(rank[0]!.name)!;
    if (this.#whenEjected === "fail" || !first.ejected) return first.connected ?? first.connect();
    const node = rank.map(({ name }) => this.#nodes.get(name)!).find(({ ejected }) => !ejected) ?? first;
    return node.connected ?? node.connect();
  }

  #ask<T>(connection: MemcachedConnection, request: Request, read: (reply: Reply) => T): Promise<T> {
    return connection.send<T>(request, (reply, resolve) => {
      resolve(read(reply));
      this.#nodes.get(connection.node)!.answered();
      return true;
    });
  }

  async #askAll<T>(
    line: string,
    read: (reply: Reply, connection: MemcachedConnection, resolve: (value: T) => void) => boolean,
  ): Promise<ReadonlyMap<string, T | BackendError>> {
    if (this.#closed !== undefined) throw this.#closed;
    const answers = [...this.#nodes.values()].map(async (node) => {
      try {
        const connection = await node.connect();
        const answer = await connection.send<T>({ line, opaque: false }, (reply, resolve) => {
          node.answered();
          return read(reply, connection, resolve);
        });
        return [node.name, answer] as const;
      } catch (error) {
        return [node.name, asBackendError(error)] as const;
      }
    });
    return new Map<string, T | BackendError>(await Promise.all(answers));
  }
}

function metaRequest(
  verb: "mg" | "ms" | "md" | "ma",
  key: WireKey,
  tokens: readonly Token[],
  value?: Uint8Array,
): Request {
  return { line: metaLine(verb, key, tokens, value?.length), value, opaque: true };
}

function itemOf({ words, value = NOTHING }: Reply, { node, epoch }: MemcachedConnection): Item {
  let [flags, ttl, bytes]: number[] = [0, -1, value.length];
  let number = "0";
  for (const word of words) {
    const argument = word.slice(1);
    if (word.startsWith("c")) number = argument;
    else if (word.startsWith("f")) flags = Number(argument);
    else if (word.startsWith("t")) ttl = Number(argument);
    else if (word.startsWith("s")) bytes = Number(argument);
  }
  if (![flags, ttl, bytes].every(Number.isInteger) || !/^\d{1,20}$/.test(number)) {
    throw broken(node, "mg was answered amiss");
  }
  return {
    value,
    bytes: bytes!,
    flags: flags!,
    cas: { number, epoch },
    ttlS: ttl! < 0 ? undefined : ttl,
    won: words.includes("W"),
    taken: words.includes("Z"),
    stale: words.includes("X"),
    placeholder: bytes === 0 && flags === 0,
  };
}

function written({ status }: Reply, { node }: MemcachedConnection): Written {
  switch (status) {
    case "HD":
      return "stored";
    case "EX":
      return "exists";
    case "NF":
      return "not-found";
    case "NS":
      return "not-stored";
    default:
      throw broken(node, "a write was answered amiss");
  }
}

export function asBackendError(error: unknown): BackendError {
  if (error instanceof BackendError) return error;
  return new BackendError("BACKEND_LOST", (error as Error).message, { cause: error });
}
