import { type JobTrace, NOBODY, type Submitter, type WireError } from "@drover/protocol";
import { refusal } from "./call.ts";
import type { ServerConnection } from "./connection.ts";
import { JobLost } from "./errors.ts";
import type { Waiter } from "./pool.ts";
import { requestFor, type Submission } from "./submission.ts";

/** What a background submission needs of its client. */
export interface BackgroundHost {
  connect(): void;
  traced(trace: JobTrace): void;
  resolve(handle: string): void;
  reject(error: Error): void;
}

/** One background submission until the server acknowledges it. */
export class BackgroundSubmission implements Waiter {
  readonly submission: Submission;
  readonly #host: BackgroundHost;
  #rejoinsLeft: number;
  #over = false;

  constructor(submission: Submission, maxRejoins: number, host: BackgroundHost) {
    this.submission = submission;
    this.#rejoinsLeft = maxRejoins;
    this.#host = host;
  }

  ready(connection: ServerConnection): void {
    try {
      connection.session.submit(requestFor(this.submission, connection), this.#submitter(connection));
    } catch (error) {
      this.fail(error as Error);
    }
  }

  fail(error: Error): void {
    if (this.#over) return;
    this.#over = true;
    this.#host.reject(error);
  }

  #submitter(connection: ServerConnection): Submitter {
    const name = this.submission.function;
    return {
      // The server tells a background submission nothing else.
      ...NOBODY,
      traced: (trace) => {
        if (!this.#over) this.#host.traced(trace);
      },
      created: (handle) => {
        if (this.#over) return;
        this.#over = true;
        this.#host.resolve(handle);
      },
      refused: (error: WireError) => this.fail(refusal(name, error)),
      lost: () => {
        if (this.#over) return;
        if (this.#rejoinsLeft-- > 0) this.#host.connect();
        else {
          const why = `the connection with ${connection.server} was lost before it was acknowledged`;
          this.fail(new JobLost(name, why));
        }
      },
    };
  }
}
