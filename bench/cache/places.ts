/** Ports on loopback, and times. All that a client or a worker needs to know. */
export interface Places {
  readonly backend: number;
  readonly memcached: readonly number[];
  readonly gearmand: number;
  readonly drover: number;
  /** 0 where BullMQ is not measured. */
  readonly redis: number;
  /** How long a lock or token lasts when nobody gives it back. */
  readonly leaseS: number;
  readonly deadlineMs: number;
}
