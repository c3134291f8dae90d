import { DEFAULT_FUNCTION_SETTINGS, type FunctionSettings } from "@drover/server";
import type { OutputChunk } from "../executor/build-log.ts";
import type { ReturnedData } from "../executor/build-request.ts";
import { newsSchema } from "./build-answers.ts";

/** Function of the executors of a zone. */
export function buildFunction(zone: string): string {
  return `gate:build:${zone}`;
}

export const BUILD_FUNCTIONS = "gate:build:*";

/**
 * What a job server is to do with builds. Whether one runs again is the gate's to decide; what it has written is in its log, so
 * nothing is played again; a gate that starts again finds the result, or joins what goes on without it.
 */
export const BUILD_FUNCTION_SETTINGS: FunctionSettings = {
  ...DEFAULT_FUNCTION_SETTINGS,
  maxAttempts: 1,
  replayLimitBytes: 0,
  lingerMs: 3_600_000,
  lingerWithoutReports: true,
  onAbandoned: "cancelDetached",
};

const EXECUTION_BYTES = 36;
const HEADER_BYTES = EXECUTION_BYTES + 8;

/** A piece of output as `WORK_DATA`: the execution, the offset in 8 bytes, the bytes. Who joins late knows where it stands. */
export function encodeOutput(execution: string, { offset, bytes }: OutputChunk): Uint8Array {
  const packet = Buffer.alloc(HEADER_BYTES + bytes.length);
  packet.write(execution, 0, "latin1");
  packet.writeBigUInt64BE(BigInt(offset), EXECUTION_BYTES);
  packet.set(bytes, HEADER_BYTES);
  return packet;
}

/** What an executor tells of a build while it goes on. */
export interface BuildNews {
  /** It will fail: why, in a sentence. */
  readonly failing?: string;
  /** It is paused, and goes on when `resumeFunction` of its execution is called. What it has returned so far. */
  readonly paused?: ReturnedData;
}

/** Function by which a paused execution goes on. */
export function resumeFunction(execution: string): string {
  return `gate:resume:${execution}`;
}

/** Stands where output has its offset, which is never so large. */
const NEWS = 2n ** 64n - 1n;

/** News as `WORK_DATA`. They are told again and again, for those who have joined late. */
export function encodeNews(execution: string, news: BuildNews): Uint8Array {
  const json = Buffer.from(JSON.stringify(news));
  const packet = Buffer.alloc(HEADER_BYTES + json.length);
  packet.write(execution, 0, "latin1");
  packet.writeBigUInt64BE(NEWS, EXECUTION_BYTES);
  packet.set(json, HEADER_BYTES);
  return packet;
}

export interface BuildMessage {
  readonly execution: string;
  readonly chunk?: OutputChunk;
  readonly news?: BuildNews;
}

/** @returns `undefined` for what no executor of this version sends. */
export function decodeMessage(packet: Uint8Array): BuildMessage | undefined {
  if (packet.length < HEADER_BYTES) return undefined;
  const header = Buffer.from(packet.buffer, packet.byteOffset, HEADER_BYTES);
  const execution = header.toString("latin1", 0, EXECUTION_BYTES);
  const offset = header.readBigUInt64BE(EXECUTION_BYTES);
  const bytes = packet.subarray(HEADER_BYTES);
  if (offset !== NEWS) return { execution, chunk: { offset: Number(offset), bytes } };
  try {
    const { data } = newsSchema.safeParse(JSON.parse(Buffer.from(bytes).toString()));
    return data === undefined ? undefined : { execution, news: data };
  } catch {
    return undefined;
  }
}
