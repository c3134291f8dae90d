/** Rates are to be high; everything else that is measured, time and memory, low. */
export const isRate = (figure: string): boolean => figure.endsWith("_per_s");

/** How tables call the figures. */
export const FIGURE_TITLES: Readonly<Record<string, string>> = {
  ops_per_s: "operations/s",
  drain_per_s: "drained jobs/s",
  fanout_packets_per_s: "fan-out packets/s",
  submit_per_s: "submissions/s",
  p50_us: "p50, µs",
  p99_us: "p99, µs",
  p999_us: "p99.9, µs",
  max_us: "longest wait, µs",
  server_us_per_op: "server CPU, µs/operation",
  drain_server_us_per_op: "server CPU draining, µs/job",
  rss_bytes_per_job: "memory, B/queued job",
  rss_bytes_per_client: "memory, B/idle client",
  rss_bytes_per_worker: "memory, B/sleeping worker",
  rss_bytes_per_joined: "memory, B/joined submitter",
  rss_bytes_per_stream: "memory, B/idle event stream",
  rss_mib: "memory in all, MiB",
  start_mib: "memory at the start, MiB",
  queued_mib: "memory with the queue, MiB",
  fsyncs_per_s: "small synchronous writes/s",
  recovery_s: "recovery, s",
  after_mib: "memory drained and idle for 30 s, MiB",
};

/** Three digits, or a whole number with commas. */
export function formatted(value: number): string {
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString("en-US");
  return String(Number(value.toPrecision(3)));
}
