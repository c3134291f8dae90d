import { createHash } from "node:crypto";
import type { CacheBackend, CacheEntry, Change, GetOptions } from "./backend.ts";
import { BackendError } from "./backend-errors.ts";

/** The part of a client of the package `ioredis` that is used. */
export interface IoredisClient {
  callBuffer(command: string, ...args: (string | Buffer | number)[]): Promise<unknown>;
}

/** The part of a client of the package `redis` that is used. */
export interface NodeRedisClient {
  sendCommand(args: (string | Buffer)[], options?: object): Promise<unknown>;
}

export interface RedisBackendOptions {
  /** A client waits for its server for as long as that is away; the cache does not. Default: 1,000. */
  readonly commandTimeoutMs?: number;
  /** Commands that are not answered; more reject. Default: 10,000. */
  readonly maxPending?: number;
  /** Of a value. Default: 8 MiB. */
  readonly maxValueBytes?: number;
}

type Command = (...args: (string | Buffer)[]) => Promise<unknown>;

const MAX_TRIES = 16;

const ELECTION = "#elect";

/** Stores only over what was read, which is known by its digest: one step, on one key, as a cluster wants it. */
const REPLACE = `local held = redis.call('GET', KEYS[1])
if (held and redis.sha1hex(held) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1`;

/** Keeps the values of a cache in Redis, over a client that the caller has, of `ioredis` or `redis`, and closes. */
export function redisBackend(
  client: IoredisClient | NodeRedisClient,
  options: RedisBackendOptions = {},
): CacheBackend {
  // Both have `sendCommand`, which means another thing in ioredis.
  const command: Command =
    "callBuffer" in client
      ? (name, ...args) => client.callBuffer(name as string, ...args)
      : (...args) => client.sendCommand(args, AS_BYTES);
  return new RedisBackend(command, options);
}

/** Bulk strings as bytes, as versions up to 4 and from 5 on are told; 36 is their mark in the protocol. */
const AS_BYTES = { returnBuffers: true, typeMapping: { 36: Buffer } };

class RedisBackend implements CacheBackend {
  readonly #command: Command;
  readonly #commandTimeoutMs: number;
  readonly #maxPending: number;
  readonly #maxValueBytes: number;
  readonly #waiting = new Set<(error: BackendError) => void>();
  #pending = 0;
  #closed = false;

  constructor(command: Command, options: RedisBackendOptions) {
    this.#command = command;
    this.#commandTimeoutMs = options.commandTimeoutMs ?? 1_000;
    this.#maxPending = options.maxPending ?? 10_000;
    this.#maxValueBytes = options.maxValueBytes ?? 8_388_608;
  }

  async get(keys: readonly string[], options: GetOptions = {}): Promise<readonly (CacheEntry | Error)[]> {
    this.#check();
    const found = await Promise.all(
      keys.map((key) => this.#get(key, options).catch((error: Error) => error)),
    );
    this.#check();
    return found;
  }

  async set(key: string, change: Change): Promise<boolean> {
    this.#check();
    for (let tried = 0; tried < MAX_TRIES; tried++) {
      const held = bytesOf(await this.#ask("GET", key));
      const replacement = change(held);
      if (replacement === undefined) return false;
      const { value, ttlMs } = replacement;
      if (value.length > this.#maxValueBytes) {
        throw new BackendError(
          "BACKEND_VALUE_TOO_LARGE",
          `a value has ${value.length} bytes, limit ${this.#maxValueBytes}`,
        );
      }
      const digest = held === undefined ? "" : createHash("sha1").update(held).digest("hex");
      const ttl = String(Math.max(1, Math.ceil(ttlMs)));
      const [stored] = await Promise.all([
        this.#ask("EVAL", REPLACE, "1", key, digest, Buffer.from(value), ttl),
        this.#ask("DEL", key + ELECTION),
      ]);
      if (Number(stored) === 1) return true;
    }
    throw new BackendError("BACKEND_CONTENDED", `others wrote ${MAX_TRIES} times in between`);
  }

  async invalidate(key: string, change: Change): Promise<void> {
    try {
      await this.set(key, change);
    } catch (error) {
      this.#check();
      if (!(error instanceof BackendError)) throw error;
      await Promise.all([this.#ask("DEL", key), this.#ask("DEL", key + ELECTION)]);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const fail of this.#waiting) fail(closed());
  }

  async #get(key: string, { electMs }: GetOptions): Promise<CacheEntry> {
    const [held, elected] = await Promise.all([
      this.#ask("GET", key),
      electMs === undefined
        ? null
        : this.#ask("SET", key + ELECTION, "", "PX", String(Math.max(1, Math.ceil(electMs))), "NX"),
    ]);
    return { value: bytesOf(held), elected: elected !== null };
  }

  #ask(...args: (string | Buffer)[]): Promise<unknown> {
    if (this.#pending >= this.#maxPending) {
      const error = new BackendError(
        "BACKEND_BUSY",
        `${this.#pending} commands wait for Redis: raise maxPending, or ask less`,
      );
      return Promise.reject(error);
    }
    return new Promise((resolve, reject) => {
      const late = () =>
        fail(new BackendError("BACKEND_TIMEOUT", `Redis did not answer within ${this.#commandTimeoutMs} ms`));
      const timer = setTimeout(late, this.#commandTimeoutMs);
      const settle = () => {
        clearTimeout(timer);
        this.#waiting.delete(fail);
      };
      const fail = (error: BackendError) => {
        settle();
        reject(error);
      };
      this.#waiting.add(fail);
      this.#pending++;
      // Counted until the client itself is done with it: that is what keeps its queue short.
      const done = () => this.#pending--;
      this.#command(...args).then(
        (answer) => {
          done();
          settle();
          resolve(answer);
        },
        (error: Error) => {
          done();
          fail(new BackendError("BACKEND_REFUSED", `Redis: ${error.message}`, { cause: error }));
        },
      );
    });
  }

  #check(): void {
    if (this.#closed) throw closed();
  }
}

function closed(): BackendError {
  return new BackendError("BACKEND_CLOSED", "the backend is closed");
}

function bytesOf(answer: unknown): Uint8Array | undefined {
  if (answer === null || answer === undefined) return undefined;
  if (answer instanceof Uint8Array) return answer;
  throw new BackendError("BACKEND_BROKEN", "the Redis client gave text where bytes were asked for");
}
