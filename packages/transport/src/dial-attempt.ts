import { TransportError } from "./errors.ts";

export interface AttemptOptions {
  /** Default: 10,000. */
  readonly connectTimeoutMs?: number;
  /** Gives up dialling; the promise rejects with its reason. */
  readonly signal?: AbortSignal;
}

/**
 * One try to connect, under the deadline and the signal of `options`.
 * @param start Begins it and returns what gives it up. What it tells after the first outcome is not heard.
 * @throws TransportError `CONNECT_TIMEOUT`, what `start` fails with, or the signal's reason
 */
export function attempt<T>(
  name: string,
  options: AttemptOptions,
  start: (connected: (value: T) => void, failed: (error: unknown) => void) => () => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const { signal, connectTimeoutMs = 10_000 } = options;
    signal?.throwIfAborted();
    let settled = false;
    const settle = (): boolean => {
      if (settled) return false;
      settled = true;
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      return true;
    };
    const failed = (error: unknown) => {
      if (!settle()) return;
      giveUp();
      reject(error);
    };
    const onAbort = () => failed(signal?.reason);
    const timer = setTimeout(() => {
      failed(
        new TransportError(
          "CONNECT_TIMEOUT",
          `${name} did not answer within ${connectTimeoutMs} ms: check address and firewall`,
        ),
      );
    }, connectTimeoutMs);
    signal?.addEventListener("abort", onAbort, { once: true });
    const giveUp = start((value) => {
      if (settle()) resolve(value);
    }, failed);
  });
}
