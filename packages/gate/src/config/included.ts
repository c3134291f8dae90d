import { readValue } from "./items.ts";
import type { Variables } from "./model.ts";
import { variablesSchema } from "./schema.ts";

/**
 * The variables that a file of YAML or JSON holds, as `include-vars` reads them.
 * @returns A sentence when it holds none, or some whose names are not for files to give.
 */
export function readVariables(text: string): Variables | string {
  const read = readValue(text);
  if (!("value" in read)) return `line ${read.line}: ${read.message}`;
  const { success, data, error } = variablesSchema.safeParse(read.value ?? {});
  if (success) return data as Variables;
  const [issue] = error.issues;
  if (issue?.code !== "invalid_key") return "it is no map of variables";
  return `${issue.path.join(".")}: ${issue.issues[0]?.message}`;
}
