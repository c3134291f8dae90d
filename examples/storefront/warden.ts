import { rmSync } from "node:fs";
import { setTimeout as after } from "node:timers/promises";

/*
 * Outlives the storefront, in case that is killed: ends those of its processes that would not notice, and removes its folder.
 * The others end with their channel to it.
 */

/** What the storefront tells. */
export type WardenNews =
  | { readonly began: number; readonly stopSignal: NodeJS.Signals }
  | { readonly ended: number };

const STOP_MS = 5_000;

const [folder] = process.argv.slice(2);
const running = new Map<number, NodeJS.Signals>();

process.on("message", (news: WardenNews) => {
  if ("began" in news) running.set(news.began, news.stopSignal);
  else running.delete(news.ended);
});
// What a terminal sends to all, the storefront obeys.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => {});
process.on("disconnect", async () => {
  for (const [pid, signal] of running) kill(pid, signal);
  const giveUpAt = Date.now() + STOP_MS;
  while ([...running.keys()].some((pid) => kill(pid, 0)) && Date.now() < giveUpAt) await after(50);
  for (const pid of running.keys()) kill(pid, "SIGKILL");
  rmSync(folder!, { recursive: true, force: true, maxRetries: 10 });
  process.exit();
});
process.send!("ready");

/** @returns Whether there is such a process. */
function kill(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}
