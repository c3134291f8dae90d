/*
 * What the bytes in a backend mean. A fixed header, the text of an error if one is in force, and the value if there is one:
 *
 *   0  4  magic "DRV1", whose last byte is the version of this format
 *   4  1  1: has a value, 2: the last computation failed
 *   5  3  0
 *   8  8  as of: Unix time in ms when the computation began; a float, as all times are
 *  16  8  until when it is fresh
 *  24  8  until when it may be served
 *  32  8  version: of the last invalidation that the computation knew of
 *  40  8  until when nobody needs to try again after the failure
 *  48  4  how long the computation took, in ms
 *  52  4  bytes of the error's text
 *  56  4  bytes of the value
 */

/** A value, a failure, or both, as a backend holds it. All times are Unix time in milliseconds. */
export interface Envelope {
  /** When the computation began: the value is as of then. */
  readonly asOfMs: number;
  /** Soft expiry: fresh before, stale from then on. */
  readonly freshUntilMs: number;
  /** Hard expiry. */
  readonly serveUntilMs: number;
  /** Of the last invalidation that the computation knew of; 0: of none. */
  readonly version: number;
  /** How long the computation took. */
  readonly tookMs: number;
  /** Encoded; undefined where an invalidation left none, or nothing but a failure is known. */
  readonly value: Uint8Array | undefined;
  /** The last computation failed. */
  readonly failure: { readonly untilMs: number; readonly text: string } | undefined;
}

const MAGIC = 0x44525631;
export const ENVELOPE_HEADER_BYTES = 60;
/** Of an error's text, what is beyond is cut off. */
export const MAX_FAILURE_TEXT_BYTES = 1_000;
const HAS_VALUE = 1;
const HAS_FAILURE = 2;

/** Of the language's host, and pure; this folder is compiled without any host's types. */
declare class TextEncoder {
  encode(text: string): Uint8Array<ArrayBuffer>;
}
declare class TextDecoder {
  decode(bytes: Uint8Array): string;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function encodeEnvelope(envelope: Envelope): Uint8Array {
  const { value, failure } = envelope;
  const text = encoder.encode(failure?.text ?? "").subarray(0, MAX_FAILURE_TEXT_BYTES);
  const bytes = new Uint8Array(ENVELOPE_HEADER_BYTES + text.length + (value?.length ?? 0));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC);
  view.setUint8(4, (value === undefined ? 0 : HAS_VALUE) | (failure === undefined ? 0 : HAS_FAILURE));
  view.setFloat64(8, envelope.asOfMs);
  view.setFloat64(16, envelope.freshUntilMs);
  view.setFloat64(24, envelope.serveUntilMs);
  view.setFloat64(32, envelope.version);
  view.setFloat64(40, failure?.untilMs ?? 0);
  view.setUint32(48, Math.min(Math.max(0, Math.round(envelope.tookMs)), 0xffff_ffff));
  view.setUint32(52, text.length);
  view.setUint32(56, value?.length ?? 0);
  bytes.set(text, ENVELOPE_HEADER_BYTES);
  if (value !== undefined) bytes.set(value, ENVELOPE_HEADER_BYTES + text.length);
  return bytes;
}

/** Whether bytes begin as an envelope does. */
export function looksLikeEnvelope(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0) === MAGIC;
}

/** @returns undefined for what `encodeEnvelope` did not make, whole: a miss. The value is a view into `bytes`. */
export function decodeEnvelope(bytes: Uint8Array): Envelope | undefined {
  if (bytes.length < ENVELOPE_HEADER_BYTES) return undefined;
  if (!looksLikeEnvelope(bytes)) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const has = view.getUint8(4);
  const times = [8, 16, 24, 32, 40].map((at) => view.getFloat64(at));
  const textBytes = view.getUint32(52);
  const valueBytes = view.getUint32(56);
  if (has > (HAS_VALUE | HAS_FAILURE) || !times.every((time) => Number.isFinite(time) && time >= 0))
    return undefined;
  if ((has & HAS_VALUE) === 0 && valueBytes > 0) return undefined;
  if (bytes.length !== ENVELOPE_HEADER_BYTES + textBytes + valueBytes) return undefined;
  const [asOfMs, freshUntilMs, serveUntilMs, version, failedUntilMs] = times as [
    number,
    number,
    number,
    number,
    number,
  ];
  const valueAt = ENVELOPE_HEADER_BYTES + textBytes;
  const text = decoder.decode(bytes.subarray(ENVELOPE_HEADER_BYTES, valueAt));
  return {
    asOfMs,
    freshUntilMs,
    serveUntilMs,
    version,
    tookMs: view.getUint32(48),
    value: (has & HAS_VALUE) === 0 ? undefined : bytes.subarray(valueAt),
    failure: (has & HAS_FAILURE) === 0 ? undefined : { untilMs: failedUntilMs, text },
  };
}
