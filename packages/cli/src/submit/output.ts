import { type JobEvent, JobException } from "@drover/client";
import { printable } from "@drover/protocol";
import type { SubmitFlags } from "./flags.ts";

const decoder = new TextDecoder("utf-8", { fatal: true });

/** Prints what jobs give, as Gearman's command line tool does, or every event as a line of JSON. */
export class Output {
  readonly #json: boolean;
  readonly #prefix: boolean;
  readonly #verbose: boolean;
  readonly #progress: boolean;
  readonly #names: ReadonlyMap<string, string>;
  /** A line of progress stands on the terminal and is to be overwritten. */
  #progressShown = false;

  constructor(flags: SubmitFlags, functions: readonly string[]) {
    this.#json = flags.json === true;
    this.#prefix = flags.prefix === true;
    this.#verbose = flags.verbose === true;
    this.#progress = flags.progress === true;
    this.#names = new Map(functions.map((name) => [name, printable(name)]));
  }

  created(name: string, handle: string): void {
    if (this.#json) this.#line({ type: "created", function: name, handle });
    else if (this.#verbose) this.#out(`Task created: ${printable(handle)}\n`);
  }

  event(name: string, event: JobEvent): void {
    if (event.type === "created") {
      this.created(name, event.handle);
      return;
    }
    if (this.#json) {
      this.#line({ ...event, function: name, ...("data" in event ? dataField(event.data) : {}) });
      return;
    }
    switch (event.type) {
      case "data":
      case "complete":
        this.#clearProgress();
        if (this.#prefix) process.stdout.write(`${this.#shown(name)}: `);
        process.stdout.write(event.data);
        return;
      case "warning":
        this.#clearProgress();
        if (this.#prefix) process.stderr.write(`${this.#shown(name)}: `);
        process.stderr.write(event.data);
        return;
      case "status":
        this.#status(name, event.numerator, event.denominator);
        return;
      case "restarted":
        this.#err(name, `restarted (${event.reason}): what was printed before is void`);
        return;
      case "fail":
        this.#err(name, "Job failed");
        return;
      case "exception":
        this.#err(name, `Job failed: ${printable(event.data, 2000)}`);
    }
  }

  /** The submission ended without an outcome. */
  failed(name: string, error: Error): void {
    if (this.#json) {
      const code = (error as { code?: string }).code ?? "FAILED";
      this.#line({ type: "error", function: name, code, message: error.message });
    } else if (!(error instanceof JobException)) {
      this.#clearProgress();
      process.stderr.write(`drover: ${error.message}\n`);
    }
  }

  #status(name: string, numerator: number, denominator: number): void {
    // A worker may report anything: 5 of 0 is no percentage.
    const percent = denominator > 0 ? Math.floor((numerator * 100) / denominator) : 0;
    if (!this.#progress) {
      this.#out(`${this.#prefix ? `${this.#shown(name)}: ` : ""}${percent}% Complete\n`);
      return;
    }
    const text = `${this.#shown(name)} ${percent}% (${numerator} of ${denominator})`;
    if (process.stderr.isTTY) {
      process.stderr.write(`\r\x1b[K${text}`);
      this.#progressShown = true;
    } else {
      process.stderr.write(`${text}\n`);
    }
  }

  #shown(name: string): string {
    return this.#names.get(name) ?? printable(name);
  }

  #out(text: string): void {
    this.#clearProgress();
    process.stdout.write(text);
  }

  #err(name: string, text: string): void {
    this.#clearProgress();
    process.stderr.write(`${this.#prefix ? `${this.#shown(name)}: ` : ""}${text}\n`);
  }

  #clearProgress(): void {
    if (!this.#progressShown) return;
    process.stderr.write("\r\x1b[K");
    this.#progressShown = false;
  }

  #line(value: object): void {
    process.stdout.write(`${JSON.stringify(value)}\n`);
  }
}

/** Text where it is text, else base64, under a name of its own. */
function dataField(data: Uint8Array): { data: string } | { data: undefined; dataBase64: string } {
  try {
    return { data: decoder.decode(data) };
  } catch {
    return { data: undefined, dataBase64: Buffer.from(data).toString("base64") };
  }
}
