import { closeSync, openSync, writeSync } from "node:fs";

/** Where finished log lines go. Writing never throws: a full disk must not stop the server. */
export interface LogSink {
  /** @param level pino's number of the line's level. */
  write(line: string, level: number): void;
  /** Opens the file anew, after a log rotation moved it away. */
  reopen(): void;
  close(): void;
}

/** Bytes that may wait for a reader of standard error before lines are dropped. */
const MAX_WAITING_BYTES = 1024 * 1024;

export class StderrSink implements LogSink {
  #dropped = 0;

  constructor() {
    // Whoever reads may leave at any time; the server goes on.
    process.stderr.on("error", () => {});
  }

  write(line: string): void {
    if (process.stderr.writableLength > MAX_WAITING_BYTES) {
      this.#dropped++;
      return;
    }
    if (this.#dropped > 0) {
      process.stderr.write(`${this.#dropped} lines of the log were dropped: nobody read them\n`);
      this.#dropped = 0;
    }
    process.stderr.write(line);
  }

  reopen(): void {}
  close(): void {}
}

export class FileSink implements LogSink {
  readonly #path: string;
  #fd: number;

  /** @throws The system's error when the file cannot be opened. */
  constructor(path: string) {
    this.#path = path;
    this.#fd = openSync(path, "a", 0o640);
  }

  get fd(): number {
    return this.#fd;
  }

  write(line: string): void {
    try {
      writeSync(this.#fd, line);
    } catch {
      // Nowhere to tell it; the next line tries again.
    }
  }

  reopen(): void {
    const next = openSync(this.#path, "a", 0o640);
    closeSync(this.#fd);
    this.#fd = next;
  }

  close(): void {
    closeSync(this.#fd);
  }
}

export class NoSink implements LogSink {
  write(): void {}
  reopen(): void {}
  close(): void {}
}
