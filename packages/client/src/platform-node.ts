import { createHash } from "node:crypto";
import { PacketStream } from "@drover/protocol";
import { type Connection, dial, parseAddress } from "@drover/transport";
import * as routing from "./routing/index.ts";
import * as tracing from "./tracing.ts";

/*
 * What differs between Node and browsers, for Node. `platform-browser.ts` has the same names; which of them is `#platform`
 * is said by package.json, and chosen by who bundles.
 */

/** What a connection is made with, besides its address. */
export interface DialTerms {
  /** For transports that want it before the first byte. */
  readonly token: string | undefined;
  /** Jobs at a time, where it is a worker's. */
  readonly slots?: number;
}

export { PacketStream };

/** Where a server is when nobody says. */
export function defaultServer(): string {
  return "localhost:4730";
}

/** @throws TransportError `ADDRESS_INVALID` */
export function checkServer(server: string): void {
  parseAddress(server);
}

export function dialServer(server: string, signal: AbortSignal, { token }: DialTerms): Promise<Connection> {
  return dial(server, { signal, ...(token === undefined ? {} : { webSocket: { token } }) });
}

/** What makes spans; undefined where it could not be loaded. */
export function loadTracing(): typeof tracing | Promise<typeof tracing | undefined> {
  return tracing;
}

/** What several servers need, and lists that are read; undefined where it could not be loaded. */
export function loadRouting(): typeof routing | Promise<typeof routing | undefined> {
  return routing;
}

/** The UTF-8 of a text. */
export function encodeText(text: string): Uint8Array {
  // Node's buffers share memory while they are small, which a `TextEncoder`'s arrays do not.
  return Buffer.from(text);
}

/** Runs it behind the promises that this turn settles. */
export function runLater(run: () => void): void {
  process.nextTick(run);
}

/** SHA-256 in base64url: 43 characters. Absent where it cannot be had at once. */
export const sha256: ((bytes: Uint8Array) => string) | undefined = (bytes) =>
  createHash("sha256").update(bytes).digest("base64url");

/** Chunks below this are copied together: a pointer for each costs the system call more than their copying. */
const JOIN_BELOW_BYTES = 4_096;

const JOINT_BYTES = 65_536;

/** Where they are copied, on all channels: mostly the connection has sent them at once and needs them no more. */
let joint = Buffer.allocUnsafeSlow(JOINT_BYTES);

/** @returns false when the connection has not sent all of it at once, and needs the chunks still. */
export function sendJoined(connection: Connection, chunks: Uint8Array[]): boolean {
  const sent = connection.send(joinSmall(chunks));
  if (!sent) joint = Buffer.allocUnsafeSlow(JOINT_BYTES);
  return sent;
}

function joinSmall(chunks: Uint8Array[]): Uint8Array[] {
  if (chunks.length === 1) return chunks;
  const joined: Uint8Array[] = [];
  let used = 0;
  for (let from = 0; from < chunks.length; ) {
    let to = from;
    let size = 0;
    while (to < chunks.length && chunks[to]!.length < JOIN_BELOW_BYTES) size += chunks[to++]!.length;
    if (to - from < 2) {
      joined.push(chunks[from++]!);
      continue;
    }
    const fits = used + size <= JOINT_BYTES;
    const run = fits ? joint.subarray(used, used + size) : Buffer.allocUnsafeSlow(size);
    if (fits) used += size;
    for (let offset = 0; from < to; from++) {
      run.set(chunks[from]!, offset);
      offset += chunks[from]!.length;
    }
    joined.push(run);
  }
  return joined;
}
