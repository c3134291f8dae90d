import { PacketType, type WireError } from "@drover/protocol";
import { type HttpApi, HttpProblem } from "./http-api.ts";

/** What the halves for clients and for workers need of their connection. */
export interface FetchLink {
  readonly api: HttpApi;
  /** Aborts when the connection is over. */
  readonly signal: AbortSignal;
  /** Hands a packet over. */
  tell(type: number, args: readonly string[], data?: Uint8Array): void;
  /** Answers a request, after those before it: Gearman tells answers apart by their order. Resolves when it is told. */
  answer(packet: Promise<Answer> | Answer): Promise<void>;
  /** What has to be sent before the connection may end. */
  owe<T>(sending: Promise<T>): Promise<T>;
  /** So many bytes more, or fewer, wait to be sent. */
  unsent(bytes: number): void;
  lost(error: unknown): void;
}

/** A packet of the server's. */
export type Answer = readonly [type: number, args: readonly string[], data?: Uint8Array];

/** `ERROR` for a problem. @throws what is no answer to the request, but the end of the connection */
export function answerOf(error: unknown): Answer {
  if (!(error instanceof HttpProblem) || error.isPassing) throw error;
  return errorOf(CODES[error.problem] ?? "INVALID_ARGUMENT", error.message);
}

export function errorOf(code: WireError["code"], text: string): Answer {
  // What the server says may be longer than ASCII, which the text of an error is.
  return [PacketType.ERROR, [code, text.replace(/[^\x20-\x7e]/g, "?")]];
}

const CODES: Readonly<Record<string, string | undefined>> = {
  forbidden: "FORBIDDEN",
  "lease-lost": "JOB_NOT_FOUND",
  "queue-full": "QUEUE_ERROR",
  "rate-limited": "RATE_LIMITED",
  "too-large": "ARGUMENT_TOO_LARGE",
  unauthenticated: "UNAUTHENTICATED",
  "unknown-job": "JOB_NOT_FOUND",
};
