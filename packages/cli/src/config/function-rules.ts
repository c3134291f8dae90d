import type { FunctionRule, FunctionSettings } from "@drover/server";
import type { FunctionConfig } from "./schema.ts";

/** The server's rules from the `functions` of a drover.yaml, in the order of the file. */
export function functionRules(
  globs: readonly string[],
  functions: Readonly<Record<string, FunctionConfig>>,
): FunctionRule[] {
  // Globs are text, and names on the wire are bytes: what is not ASCII matches as its UTF-8.
  return globs.map((glob) => ({
    glob: Buffer.from(glob, "utf8").toString("latin1"),
    settings: settingsOf(functions[glob] ?? {}),
  }));
}

function settingsOf(config: FunctionConfig): Partial<FunctionSettings> {
  const { maxQueue, ...rest } = config;
  const settings: Record<string, unknown> = { ...rest };
  if (typeof maxQueue === "number") settings.maxQueue = [maxQueue, maxQueue, maxQueue];
  else if (maxQueue !== undefined) settings.maxQueue = [maxQueue.high, maxQueue.normal, maxQueue.low];
  // An absent key keeps the default, and `undefined` would not.
  for (const key of Object.keys(settings)) if (settings[key] === undefined) delete settings[key];
  return settings as Partial<FunctionSettings>;
}
