import { setTimeout as after } from "node:timers/promises";
import { Worker, type WorkerJob } from "@drover/worker";

/** Data chunks of each job's stream. */
export const PARTS = 10;
const WARNING_AT = 2;
const HALF = PARTS / 2;

export interface HerdWorkOptions {
  readonly server: string;
  readonly functionName: string;
  readonly workers: number;
  /** Jobs of one worker at a time. */
  readonly concurrency: number;
  readonly stepMs: number;
  /** Cuts one worker's connection in the middle of its job. */
  readonly killOne: boolean;
  /** Told when the first half of a unique's stream is sent. */
  readonly halfway: (unique: string) => void;
  /** Resolves when everyone who wants the unique has been accepted: the work lasts until then. */
  readonly allAccepted: (unique: string) => Promise<void>;
}

/** The workers of the demo, which count what they do. */
export class HerdWork {
  /** Times that a job was begun. */
  executions = 0;
  /** Executions that ended because their worker was killed. */
  lost = 0;
  /** Unique of the job in which the worker was killed. */
  killedIn: string | undefined;
  readonly #killDone = Promise.withResolvers<void>();
  readonly #options: HerdWorkOptions;
  readonly #workers = new Set<Worker>();

  constructor(options: HerdWorkOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { workers } = this.#options;
    await Promise.all(Array.from({ length: workers }, (_, i) => this.#startOne(`demo-${i + 1}`)));
  }

  /** Ends all workers, without waiting for jobs. */
  async stop(): Promise<void> {
    await Promise.all([...this.#workers].map((worker) => worker.close()));
  }

  async #startOne(clientId: string): Promise<void> {
    const { server, functionName, concurrency } = this.#options;
    const worker = new Worker({ servers: server, clientId, concurrency });
    this.#workers.add(worker);
    worker.handle(functionName, (job) => this.#run(job, worker));
    await worker.run();
  }

  async #run(job: WorkerJob, worker: Worker): Promise<string> {
    this.executions++;
    try {
      return await this.#execute(job, worker, `run ${this.executions}`);
    } finally {
      if (job.signal.aborted) this.lost++;
    }
  }

  /** @param run Tells one execution from another: equal streams are streams of the same execution. */
  async #execute(job: WorkerJob, worker: Worker, run: string): Promise<string> {
    const { stepMs, killOne, halfway, allAccepted } = this.#options;
    const { unique, signal } = job;
    for (let part = 0; part < PARTS; part++) {
      job.status(part, PARTS);
      await job.data(`${unique}, part ${part + 1} of ${PARTS}, ${run}\n`);
      if (part === WARNING_AT) await job.warning(`${unique}, a warning, ${run}\n`);
      if (part + 1 === HALF) {
        halfway(unique);
        if (killOne && this.killedIn === undefined) await this.#kill(unique, worker);
      }
      await after(stepMs, undefined, { signal });
    }
    // Else somebody could come when it is over, and it would be done again, as it should be.
    await allAccepted(unique);
    if (killOne) await this.#killDone.promise;
    signal.throwIfAborted();
    job.status(PARTS, PARTS);
    return `${unique}, result, ${run}\n`;
  }

  /** Cuts a worker's connection, as if its process had died, and starts another one in its place. */
  async #kill(unique: string, worker: Worker): Promise<void> {
    this.killedIn = unique;
    await this.#options.allAccepted(unique);
    this.#workers.delete(worker);
    void worker.close();
    this.#killDone.resolve();
    void this.#startOne("demo-replacement");
  }
}

/** What a stream must look like: data, warning and result of one run, in this order. */
export function expectedStream(unique: string, run: string): string {
  let stream = "";
  for (let part = 0; part < PARTS; part++) {
    stream += `data ${unique}, part ${part + 1} of ${PARTS}, ${run}\n`;
    if (part === WARNING_AT) stream += `warning ${unique}, a warning, ${run}\n`;
  }
  return `${stream}complete ${unique}, result, ${run}\n`;
}
