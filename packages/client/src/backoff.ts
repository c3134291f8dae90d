/** How long to wait before trying again. */
export interface Backoff {
  /** Before the second try. Default: 100. */
  readonly initialMs?: number;
  /** Never longer. Default: 10,000. */
  readonly maxMs?: number;
  /** Default: 2. */
  readonly factor?: number;
  /** Part of the wait that chance decides, 0 to 1, so that many peers do not come back at once. Default: 0.5. */
  readonly jitter?: number;
}

/**
 * Milliseconds to wait after `failures` failed tries in a row (≥ 1).
 * @param random A number from 0 up to 1.
 */
export function backoffMs(failures: number, backoff: Backoff, random: number): number {
  const { initialMs = 100, maxMs = 10_000, factor = 2, jitter = 0.5 } = backoff;
  const full = Math.min(maxMs, initialMs * factor ** (failures - 1));
  return full * (1 - jitter * random);
}
