import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Client } from "@drover/client";
import { compute } from "./backend.ts";
import { CacheAside, PlainRead, type Reader } from "./cache-aside.ts";
import { DogpileLock } from "./dogpile.ts";
import { MetaToken } from "./meta-token.ts";
import { DroverCache } from "./ours.ts";
import type { Places } from "./places.ts";

/* What a client does about a value that is not there: each a scheme that people use. */

export const SCHEMES = [
  "read",
  "naive",
  "in-process",
  "dogpile",
  "dogpile-poll",
  "meta-token",
  "bullmq",
  "gearmand",
  "gearmand-in-process",
  "drover",
  "drover-cache",
] as const;
export type SchemeName = (typeof SCHEMES)[number];

/** How tables and charts call them. */
export const SCHEME_TITLES: Readonly<Record<SchemeName, string>> = {
  read: "a read of memcached, nothing else",
  naive: "naive",
  "in-process": "single-flight in the process",
  dogpile: "dogpile's lock",
  "dogpile-poll": "the same lock, asked every 50 ms",
  "meta-token": "memcached's token",
  bullmq: "BullMQ, deduplicated",
  gearmand: "gearmand, unique = key",
  "gearmand-in-process": "gearmand and single-flight",
  drover: "Drover, unique = key",
  "drover-cache": "@drover/cache on Drover",
};

/** Those that the targets are about take part in every round. The others show what else is to be had, and some take long. */
export const IN_EVERY_ROUND: ReadonlySet<SchemeName> = new Set([
  "read",
  "gearmand",
  "drover",
  "drover-cache",
]);

/** The job server of a scheme, whose workers compute. Others compute in the client. */
export const JOB_SERVER: Partial<Record<SchemeName, "gearmand" | "redis" | "drover">> = {
  bullmq: "redis",
  gearmand: "gearmand",
  "gearmand-in-process": "gearmand",
  drover: "drover",
  "drover-cache": "drover",
};

/**
 * @param lanes Requests of this process at a time. Without single-flight each has a connection of its own to gearmand,
 *   since one client joins what is submitted through it.
 */
export async function connectScheme(name: SchemeName, places: Places, lanes: number): Promise<Reader> {
  const computed = (key: string, signal?: AbortSignal) => compute(places.backend, key, signal);
  switch (name) {
    case "read":
      return new PlainRead(places);
    case "naive":
      return new CacheAside(places, { load: computed, isStored: true });
    case "in-process":
      return new CacheAside(places, { load: (key) => computed(key), isStored: true, isJoined: true });
    case "dogpile":
      return new DogpileLock(places, "back-off");
    case "dogpile-poll":
      return new DogpileLock(places, "poll");
    case "meta-token":
      return new MetaToken(places);
    case "bullmq": {
      const bullmq = await loadBullmq();
      const { load, close } = await bullmq.connectQueue(places);
      return new CacheAside(places, { load, close, isStored: false });
    }
    case "gearmand":
      return new CacheAside(places, { ...jobsOn(places.gearmand, places, lanes), isStored: false });
    case "gearmand-in-process":
      return new CacheAside(places, {
        ...jobsOn(places.gearmand, places, 1),
        isStored: false,
        isJoined: true,
      });
    case "drover":
      return new CacheAside(places, { ...jobsOn(places.drover, places, 1), isStored: false });
    case "drover-cache":
      return new DroverCache(places);
  }
}

function jobsOn(port: number, { deadlineMs }: Places, connections: number) {
  const clients = Array.from({ length: connections }, () => new Client({ servers: `127.0.0.1:${port}` }));
  let next = 0;
  return {
    // A connection is made with the first job, which is not to be measured.
    ready: async () => {
      await Promise.all(clients.map((client) => client.submit("ready", "").result()));
    },
    load: async (key: string): Promise<string> => {
      const client = clients[next++ % clients.length]!;
      const result = await client.submit("compute", key, { unique: key, deadlineMs }).result();
      return Buffer.from(result).toString("latin1");
    },
    close: async () => {
      await Promise.all(clients.map((client) => client.close()));
    },
  };
}

/** The part of BullMQ, whose package is only where bench/libraries has it. */
export interface BullmqModule {
  connectQueue(
    places: Places,
  ): Promise<{ load: (key: string) => Promise<string>; close: () => Promise<void> }>;
  work(places: Places, run: (key: string) => Promise<string>): Promise<void>;
}

export const LIBRARIES = join(import.meta.dirname, "../libraries");

export async function loadBullmq(): Promise<BullmqModule> {
  return (await import(pathToFileURL(join(LIBRARIES, "bullmq-cache.js")).href)) as BullmqModule;
}
