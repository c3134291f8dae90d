import pino from "pino";
import type { LogLevel } from "../config/schema.ts";
import type { LogSink } from "./log-sink.ts";

const PINO_LEVELS: Readonly<Record<LogLevel, pino.Level>> = {
  FATAL: "fatal",
  ALERT: "fatal",
  CRITICAL: "fatal",
  ERROR: "error",
  WARNING: "warn",
  NOTICE: "info",
  INFO: "info",
  DEBUG: "debug",
};

export type ServerLog = pino.Logger;

/** The server's log: one JSON object a line, or readable text made from it. */
export function createLog(sink: LogSink, level: LogLevel, format: "json" | "text"): ServerLog {
  return pino(
    {
      level: PINO_LEVELS[level],
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: pino.stdSerializers.err },
    },
    {
      // Asks pino to set `lastLevel` before each line.
      [Symbol.for("pino.metadata")]: true,
      lastLevel: 0,
      write(this: { lastLevel: number }, line: string) {
        sink.write(format === "json" ? line : readable(line), this.lastLevel);
      },
    } as pino.DestinationStream,
  );
}

/** `12:00:00.123 WARN  closed a connection code=PROTOCOL_VIOLATION peer=7`. */
export function readable(line: string): string {
  const { level, time, pid: _, msg, error, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const clock = String(time).slice(11, 23);
  const rest = Object.entries(fields).map(([key, value]) => ` ${key}=${fieldText(value)}`);
  const cause = error as { stack?: string; message?: string } | undefined;
  const trace = cause === undefined ? "" : `\n  ${safe(cause.stack ?? cause.message ?? "")}`;
  return `${clock} ${String(level).toUpperCase().padEnd(5)} ${safe(String(msg))}${rest.join("")}${trace}\n`;
}

function fieldText(value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return /^[^\s"=]+$/.test(text) ? safe(text) : safe(JSON.stringify(value));
}

/** Without control characters other than line breaks: whatever reached the log cannot move a cursor. */
function safe(text: string): string {
  return text.replace(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
    /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g,
    (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
}
