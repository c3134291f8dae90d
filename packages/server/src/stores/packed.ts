import type { StoredJob } from "../core/index.ts";

/*
 * Jobs between threads: two buffers that are handed over, where objects would be copied one by one, which takes longer than
 * reading them from the disk.
 *
 *   numbers   for each job: id, priority, dueMs, lingerMs, attempts, submittedMs, diedMs, and how many bytes it has of
 *   bytes     for each job: fn, key, reducer, traceparent, reason, workload
 */
export interface Packed {
  readonly numbers: Float64Array<ArrayBuffer>;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Numbers of a job, the last ones being lengths. */
const NUMBERS = 13;
const FIRST_LENGTH = 7;

/** A job as SQLite gives it: its numbers, and all its bytes in one. */
export type PackedRow = readonly [...numbers: number[], bytes: Uint8Array];

/** What selects the columns of a `PackedRow`: one blob costs much less than five. */
export const PACKED_COLUMNS = `id, priority, due_ms, linger_ms, attempts, submitted_ms, died_ms, length(fn), length(key),
  length(reducer), length(CAST(traceparent AS BLOB)), length(CAST(reason AS BLOB)), length(workload),
  CAST(fn || key || reducer || traceparent || reason || workload AS BLOB)`;

export function packRows(rows: readonly PackedRow[]): Packed {
  const numbers = new Float64Array(rows.length * NUMBERS);
  let size = 0;
  for (const row of rows) size += (row[NUMBERS] as Uint8Array).length;
  const bytes = new Uint8Array(size);
  let at = 0;
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!;
    for (let n = 0; n < NUMBERS; n++) numbers[i * NUMBERS + n] = row[n] as number;
    const own = row[NUMBERS] as Uint8Array;
    bytes.set(own, at);
    at += own.length;
  }
  return { numbers, bytes };
}

export function pack(jobs: readonly StoredJob[]): Packed {
  const numbers = new Float64Array(jobs.length * NUMBERS);
  let size = 0;
  for (let i = 0; i < jobs.length; i++) {
    const job = jobs[i]!;
    const lengths = [
      job.fn.length,
      job.key.length,
      job.reducer.length,
      Buffer.byteLength(job.traceparent),
      Buffer.byteLength(job.reason),
      job.workload.length,
    ];
    const { id, priority, dueMs, lingerMs, attempts, submittedMs, diedMs } = job;
    numbers.set([id, priority, dueMs, lingerMs, attempts, submittedMs, diedMs, ...lengths], i * NUMBERS);
    for (const length of lengths) size += length;
  }
  const bytes = new Uint8Array(size);
  const buffer = Buffer.from(bytes.buffer);
  let at = 0;
  for (const { fn, key, reducer, traceparent, reason, workload } of jobs) {
    for (const name of [fn, key, reducer]) if (name !== "") at += buffer.write(name, at, "latin1");
    for (const text of [traceparent, reason]) if (text !== "") at += buffer.write(text, at, "utf8");
    bytes.set(workload, at);
    at += workload.length;
  }
  return { numbers, bytes };
}

/** Their workloads are views of the bytes. */
export function unpack({ numbers, bytes }: Packed): StoredJob[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const jobs: StoredJob[] = [];
  let at = 0;
  for (let base = 0; base < numbers.length; base += NUMBERS) {
    let length = base + FIRST_LENGTH;
    const end = () => at + numbers[length++]!;
    const name = (): string => {
      const from = at;
      at = end();
      return from === at ? "" : buffer.toString("latin1", from, at);
    };
    const text = (): string => {
      const from = at;
      at = end();
      return from === at ? "" : buffer.toString("utf8", from, at);
    };
    const fn = name();
    const key = name();
    const reducer = name();
    const traceparent = text();
    const reason = text();
    const from = at;
    at = end();
    jobs.push({
      id: numbers[base]!,
      fn,
      key,
      workload: bytes.subarray(from, at),
      priority: numbers[base + 1] as StoredJob["priority"],
      dueMs: numbers[base + 2]!,
      reducer,
      traceparent,
      lingerMs: numbers[base + 3]!,
      attempts: numbers[base + 4]!,
      submittedMs: numbers[base + 5]!,
      reason,
      diedMs: numbers[base + 6]!,
    });
  }
  return jobs;
}
