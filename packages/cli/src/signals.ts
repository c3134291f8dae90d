export type Signal = "SIGTERM" | "SIGINT" | "SIGUSR1" | "SIGUSR2" | "SIGHUP";

const SIGNALS: readonly Signal[] = ["SIGTERM", "SIGINT", "SIGUSR1", "SIGUSR2", "SIGHUP"];

let deliver: ((signal: Signal) => void) | undefined;
const early: Signal[] = [];

/**
 * Takes over the signals of a server. Called before anything else is loaded: without a handler Node answers SIGUSR1
 * by opening its inspector, and a signal that comes while the server starts must not be lost.
 */
export function catchSignals(): void {
  for (const name of SIGNALS) {
    process.on(name, () => {
      if (deliver === undefined) early.push(name);
      else deliver(name);
    });
  }
}

/** Hands over the signals from now on, those that came before first. */
export function deliverSignals(handler: (signal: Signal) => void): void {
  deliver = handler;
  for (const name of early.splice(0)) handler(name);
}

/** Whether the end was asked for before there was anybody to tell. */
export function endWasAskedFor(): boolean {
  return early.some((name) => name !== "SIGHUP" && name !== "SIGUSR2");
}
