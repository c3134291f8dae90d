import type { Reader } from "./cache-aside.ts";
import type { Places } from "./places.ts";
import { connectScheme, type SchemeName } from "./schemes.ts";

/* A client process: reads keys at the times that it is told, and tells how long each took. */

/** A request, so many milliseconds after the release. */
export type Request = readonly [key: string, afterMs: number];

export type ClientOrder =
  | { readonly do: "connect"; readonly scheme: SchemeName; readonly places: Places; readonly lanes: number }
  | { readonly do: "put"; readonly keys: readonly string[]; readonly isStale: boolean }
  | {
      readonly do: "run";
      /** Of the wall clock, ms. */
      readonly releaseAt: number;
      readonly requests: readonly Request[];
      readonly deadlineMs: number;
    }
  | { readonly do: "close" };

/** Times in ms since the request was due. */
export interface Found {
  /** Of the first answer, or of the failure where there was none. */
  readonly firstMs: number[];
  /** Of the stale and of the fresh values. */
  readonly staleMs: number[];
  readonly freshMs: number[];
  failed: number;
  /** Values of another key, or a stale one after the fresh one. */
  wrong: number;
}

/** Of the wall clock. `performance.timeOrigin` is off by as long as the process was kept from running while it started. */
const now = Date.now;
const at = (due: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, Math.max(0, due - now())));

let reader: Reader | undefined;

async function read(from: Reader, key: string, due: number, deadlineMs: number, found: Found): Promise<void> {
  await at(due);
  const signal = AbortSignal.timeout(deadlineMs);
  let answers = 0;
  let isFresh = false;
  const reading = from.read(
    key,
    (value, isStale) => {
      if (signal.aborted) return;
      const ms = now() - due;
      if (answers++ === 0) found.firstMs.push(ms);
      (isStale ? found.staleMs : found.freshMs).push(ms);
      if (!value.startsWith(`${key}@`) || (isStale && isFresh)) found.wrong++;
      isFresh = !isStale;
    },
    signal,
  );
  const expired = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(new Error("too late")), { once: true });
  });
  try {
    await Promise.race([reading, expired]);
  } catch {
    // What counts is whether there was an answer.
  }
  if (answers > 0) return;
  found.failed++;
  found.firstMs.push(now() - due);
}

async function obey(order: ClientOrder): Promise<unknown> {
  switch (order.do) {
    case "connect":
      reader = await connectScheme(order.scheme, order.places, order.lanes);
      await reader.ready();
      return undefined;
    case "put":
      for (const key of order.keys) await reader!.put(key, `${key}@0`, order.isStale);
      return undefined;
    case "run": {
      const found: Found = { firstMs: [], staleMs: [], freshMs: [], failed: 0, wrong: 0 };
      const { releaseAt, requests, deadlineMs } = order;
      await Promise.all(
        requests.map(([key, afterMs]) => read(reader!, key, releaseAt + afterMs, deadlineMs, found)),
      );
      return found;
    }
    case "close":
      // One that waits for a lost server does not end.
      await Promise.race([reader?.close(), at(now() + 1_000)]);
      reader = undefined;
      return undefined;
  }
}

// Requests given up by their deadline go on, and may fail later.
process.on("unhandledRejection", () => {});
process.on("disconnect", () => process.exit());
process.on("message", async (order: ClientOrder) => {
  try {
    process.send!({ answer: (await obey(order)) ?? null });
  } catch (error) {
    process.send!({ error: (error as Error).message });
  }
});
