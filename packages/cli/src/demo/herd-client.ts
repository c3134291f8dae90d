import { Client } from "@drover/client";
import { byteString } from "@drover/protocol";

/** One submitter of the demo, with a connection of its own, and what it saw. */
export class HerdClient {
  readonly unique: string;
  readonly late: boolean;
  /** Times in milliseconds since it submitted. */
  acceptedMs = Number.NaN;
  firstDataMs = Number.NaN;
  resultMs = Number.NaN;
  /** Data, warnings and the end, in their order, of the run that counts. */
  stream = "";
  restarts = 0;
  /** The newest progress seen. */
  progress = "";
  problem: string | undefined;
  readonly #client: Client;
  readonly #functionName: string;

  constructor(server: string, functionName: string, unique: string, late: boolean) {
    this.unique = unique;
    this.late = late;
    this.#functionName = functionName;
    this.#client = new Client({ servers: server, unreachableMs: 10_000, connectTimeoutMs: 10_000 });
  }

  /** Makes the connection. */
  async connect(): Promise<void> {
    await this.#client.echo();
  }

  /** Submits, and follows the job to its end. What goes wrong is noted as `problem`. */
  async submit(accepted: () => void): Promise<void> {
    const startMs = performance.now();
    const job = this.#client.submit(this.#functionName, this.unique, { unique: this.unique });
    try {
      for await (const event of job) {
        switch (event.type) {
          case "created":
            if (Number.isNaN(this.acceptedMs)) {
              this.acceptedMs = performance.now() - startMs;
              accepted();
            }
            break;
          case "data":
            if (Number.isNaN(this.firstDataMs)) this.firstDataMs = performance.now() - startMs;
            this.stream += `data ${byteString(event.data)}`;
            break;
          case "warning":
            this.stream += `warning ${byteString(event.data)}`;
            break;
          case "status":
            this.progress = `${event.numerator}/${event.denominator}`;
            break;
          case "restarted":
            this.restarts++;
            this.stream = "";
            break;
          case "complete":
            this.resultMs = performance.now() - startMs;
            this.stream += `complete ${byteString(event.data)}`;
            break;
          case "fail":
            this.problem = "the job failed";
            break;
          case "exception":
            this.problem = `the job failed: ${byteString(event.data)}`;
        }
      }
    } catch (error) {
      this.problem = (error as Error).message;
    }
  }

  async close(): Promise<void> {
    await this.#client.close();
  }
}
