import type { StoredJob } from "../core/index.ts";

/** Jobs between threads: their workloads in one buffer, which is handed over, where a thousand would be copied one by one. */
export interface Packed {
  /** Without their workloads. */
  readonly jobs: readonly StoredJob[];
  /** Bytes of each workload, in the order of the jobs. */
  readonly sizes: readonly number[];
  readonly bytes: Uint8Array<ArrayBuffer>;
}

const NOTHING = new Uint8Array(0);

export function pack(jobs: readonly StoredJob[]): Packed {
  const sizes = jobs.map(({ workload }) => workload.length);
  const bytes = new Uint8Array(sizes.reduce((sum, size) => sum + size, 0));
  let at = 0;
  for (const { workload } of jobs) {
    bytes.set(workload, at);
    at += workload.length;
  }
  return { jobs: jobs.map((job) => ({ ...job, workload: NOTHING })), sizes, bytes };
}

export function unpack({ jobs, sizes, bytes }: Packed): StoredJob[] {
  let at = 0;
  return jobs.map((job, i) => {
    const from = at;
    at += sizes[i]!;
    return { ...job, workload: bytes.subarray(from, at) };
  });
}
