import { type ChildProcess, spawn } from "node:child_process";
import type { LogSink } from "./log-sink.ts";

/** Facility `daemon` times eight, to which the severity is added. */
const DAEMON = 3 * 8;
/** Syslog's severities by pino's levels. */
const SEVERITIES: ReadonlyMap<number, number> = new Map([
  [20, 7],
  [30, 6],
  [40, 4],
  [50, 3],
  [60, 2],
]);
const INFO = 6;

/**
 * The system's log, through the program `logger`, since Node cannot speak to /dev/log. When it cannot be started or
 * ends, lines go to standard error.
 */
export class SyslogSink implements LogSink {
  #logger: ChildProcess | undefined;

  constructor() {
    this.#start();
  }

  #start(): void {
    const logger = spawn("logger", ["--tag", "drover", `--id=${process.pid}`, "--prio-prefix"], {
      stdio: ["pipe", "ignore", "ignore"],
      // A signal to the process group must not end it before our last line.
      detached: true,
    });
    this.#logger = logger;
    const lost = () => {
      if (this.#logger === logger) this.#logger = undefined;
    };
    logger.on("error", (error) => {
      lost();
      process.stderr.write(`cannot start logger, logging here instead: ${error.message}\n`);
    });
    logger.on("exit", lost);
    logger.stdin?.on("error", lost);
    logger.unref();
  }

  write(line: string, level: number): void {
    if (this.#logger?.stdin?.writable !== true) {
      process.stderr.write(line);
      return;
    }
    const severity = SEVERITIES.get(level) ?? INFO;
    this.#logger.stdin.write(`<${DAEMON + severity}>${line}`);
  }

  reopen(): void {
    this.close();
    this.#start();
  }

  close(): void {
    const logger = this.#logger;
    this.#logger = undefined;
    logger?.stdin?.end();
  }
}
