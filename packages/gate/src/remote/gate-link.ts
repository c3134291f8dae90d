import { Readable } from "node:stream";
import { setTimeout as after } from "node:timers/promises";

export type WorkerErrorCode = "GATE_UNREACHABLE" | "GATE_REFUSES_WORKER" | "WORKER_FOLDER_IN_USE";

/** An executor or a merger elsewhere did not get on with its gate. */
export class RemoteError extends Error {
  override readonly name = "RemoteError";
  readonly code: WorkerErrorCode;

  constructor(code: WorkerErrorCode, detail: string) {
    super(`${code}: ${detail}`);
    this.code = code;
  }
}

export interface GateLinkOptions {
  /** Base URL of the gate's HTTP port. */
  readonly url: string;
  /** Of a user of the gate with the role `worker`. */
  readonly token: string;
  /** For how long a gate that does not answer is asked again: it may be starting. Default: 600,000. */
  readonly patienceMs?: number;
}

/** Longest answer to one request. */
const ANSWER_LIMIT_MS = 300_000;
const AGAIN_MS = 1_000;

export interface AskOptions {
  readonly signal?: AbortSignal | undefined;
  /** Default: that of the link. */
  readonly patienceMs?: number;
}

/** The gate's API as its workers elsewhere use it. */
export class GateLink {
  readonly url: string;
  readonly token: string;
  readonly patienceMs: number;

  constructor({ url, token, patienceMs = 600_000 }: GateLinkOptions) {
    this.url = url;
    this.token = token;
    this.patienceMs = patienceMs;
  }

  /**
   * Asks until there is an answer.
   * @param path Below `/api/gate`.
   * @param body Made anew for each try.
   * @throws RemoteError `GATE_UNREACHABLE` when patience ends or the signal aborts, `GATE_REFUSES_WORKER`
   */
  async ask<T>(
    method: "GET" | "POST" | "PUT",
    path: string,
    body?: () => NonNullable<RequestInit["body"]>,
    { signal, patienceMs = this.patienceMs }: AskOptions = {},
  ): Promise<T> {
    const endMs = performance.now() + patienceMs;
    for (;;) {
      let why: string;
      const content = body?.();
      try {
        const limit = AbortSignal.timeout(ANSWER_LIMIT_MS);
        const response = await fetch(`${this.url}/api/gate${path}`, {
          method,
          headers: {
            authorization: `Bearer ${this.token}`,
            ...(body === undefined ? {} : { "content-type": "application/octet-stream" }),
          },
          ...(content === undefined ? {} : { body: content }),
          // What `fetch` wants to send a stream.
          duplex: "half",
          redirect: "error",
          signal: signal === undefined ? limit : AbortSignal.any([limit, signal]),
        } as RequestInit);
        if (response.ok) return (await response.json()) as T;
        const { detail = "" } = (await response.json().catch(() => ({}))) as { readonly detail?: string };
        why = `HTTP ${response.status} ${detail.slice(0, 500)}`;
        if (response.status < 500 && response.status !== 429)
          throw new RemoteError("GATE_REFUSES_WORKER", `${this.url}: ${why}`);
      } catch (error) {
        if (error instanceof RemoteError) throw error;
        const { message, cause } = error as Error;
        why = cause instanceof Error && cause.message !== "" ? cause.message : message;
      } finally {
        // A file that nobody has read to its end stays open otherwise.
        if (content instanceof Readable) content.destroy();
      }
      if (signal?.aborted === true || performance.now() + AGAIN_MS > endMs)
        throw new RemoteError("GATE_UNREACHABLE", `${this.url} does not answer: ${why}`);
      await after(AGAIN_MS, undefined, { ref: false });
    }
  }
}
