import { appendFileSync } from "node:fs";
import { defineCached } from "../../src/index.ts";

export const cached = defineCached<string, string, string, string>({
  name: "herd",
  freshMs: 600_000,
  earlyRefresh: 0,
});

/** Where everything is; handed to each process in its arguments. */
export interface Places {
  readonly server: string;
  readonly memcached: string;
  /** A file that gets a line for each computation that begins, whatever becomes of the process. */
  readonly begun: string;
}

export const computedOf = (key: string) => `value of ${key}`;

export function noteBegin(places: Places, key: string): void {
  appendFileSync(places.begun, `${key}\n`);
}
