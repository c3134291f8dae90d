import { once } from "node:events";
import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { startChild } from "../children.ts";
import type { Outcome } from "../gearbench.ts";
import type { RunningServer } from "../servers.ts";

/** How h2load is asked to speak, and over how many connections: as many requests are under way for all of them. */
export const VERSIONS = {
  "http-1": { title: "HTTP/1.1", scheme: "http", words: ["--h1", "-c", "50"] },
  "http-2": { title: "HTTP/2, cleartext", scheme: "http", words: ["-c", "10", "-m", "20"] },
  "http-2-tls": { title: "HTTP/2, TLS", scheme: "https", words: ["-c", "10", "-m", "20"] },
} as const;

export type Version = keyof typeof VERSIONS;

/** @param amount `-n` requests, or `-D` seconds. */
export async function h2load(
  program: string,
  version: Version,
  { port, pid }: Pick<RunningServer, "port" | "pid">,
  body: string,
  amount: readonly string[],
): Promise<Outcome> {
  const { scheme, words } = VERSIONS[version];
  const url = `${scheme}://127.0.0.1:${scheme === "https" ? port + 2 : port}/v1/functions/echo/jobs`;
  const begunUs = processorTimeUs(pid);
  const child = startChild(program, [...words, ...amount, "-d", body, url], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [out, complaint] = await Promise.all([
    text(child.stdout!),
    text(child.stderr!),
    once(child, "close"),
  ]);
  const rate = Number(/^finished in [^,]+, ([\d.]+) req\/s/m.exec(out)?.[1]);
  const [, done, failed, errored] =
    /^requests: .* (\d+) done, \d+ succeeded, (\d+) failed, (\d+) errored/m.exec(out) ?? [];
  const [, succeeded] = /^status codes: (\d+) 2xx, 0 3xx, 0 4xx, 0 5xx$/m.exec(out) ?? [];
  const ok = rate > 0 && Number(succeeded) > 0 && failed === "0" && errored === "0" && done !== "0";
  const figures = { ops_per_s: rate, server_us_per_op: (processorTimeUs(pid) - begunUs) / Number(succeeded) };
  return { ok, figures, complaint: ok ? "" : `${out}${complaint}`.slice(-500) };
}

/** What a process has used so far; the kernel counts in hundredths of a second. */
function processorTimeUs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  const [user, system] = stat.slice(stat.lastIndexOf(")")).split(" ").slice(12, 14);
  return (Number(user) + Number(system)) * 10_000;
}
