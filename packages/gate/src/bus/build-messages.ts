import { DEFAULT_FUNCTION_SETTINGS, type FunctionSettings } from "@drover/server";
import type { OutputChunk } from "../executor/build-log.ts";

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

/** @returns `undefined` for what no executor of this version sends. */
export function decodeOutput(
  packet: Uint8Array,
): { readonly execution: string; readonly chunk: OutputChunk } | undefined {
  if (packet.length < HEADER_BYTES) return undefined;
  const bytes = Buffer.from(packet.buffer, packet.byteOffset, packet.length);
  return {
    execution: bytes.toString("latin1", 0, EXECUTION_BYTES),
    chunk: {
      offset: Number(bytes.readBigUInt64BE(EXECUTION_BYTES)),
      bytes: packet.subarray(HEADER_BYTES),
    },
  };
}
