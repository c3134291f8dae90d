const WORKLOAD_BYTES = 64;

/**
 * Measures a client library as README.md says: UNIQUES loops, each of which has every submitter submit the same job at
 * once, waits for all results and goes on with the next job.
 * @param words UNIQUES SUBMITTERS WARMUP_MS MEASURE_MS
 * @param submit Resolves with the result.
 */
export async function measure(
  words: readonly string[],
  submit: (submitter: number, unique: string, workload: string) => Promise<string>,
): Promise<void> {
  const [uniques, submitters, warmupMs, measureMs] = words.map(Number) as [number, number, number, number];
  let number = 0;
  let jobs = 0;
  let wrong = 0;
  let over = false;

  async function loop(): Promise<void> {
    while (!over) {
      const unique = String(number++);
      const workload = unique.padStart(WORKLOAD_BYTES, "0");
      const results = Array.from({ length: submitters }, (_, submitter) =>
        submit(submitter, unique, workload),
      );
      for (const result of await Promise.all(results)) if (result !== workload) wrong++;
      jobs += submitters;
    }
  }

  const loops = Promise.all(Array.from({ length: uniques }, loop));
  await lasting(warmupMs, loops);
  process.stdout.write("begin\n");
  const before = { jobs, atMs: performance.now(), cpu: process.cpuUsage() };
  await lasting(measureMs, loops);
  const ms = performance.now() - before.atMs;
  const { user, system } = process.cpuUsage(before.cpu);
  const measured = jobs - before.jobs;
  over = true;
  await loops;
  process.stdout.write(`${JSON.stringify({ jobs: measured, ms, cpuUs: user + system, wrong })}\n`);
}

/** Waits, or rejects as soon as a submission fails. */
function lasting(ms: number, loops: Promise<unknown>): Promise<unknown> {
  return Promise.race([loops, new Promise((resolve) => setTimeout(resolve, ms))]);
}
