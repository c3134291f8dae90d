import type { FileCheck } from "./check.ts";
import type { ConfigItem } from "./items.ts";
import type { InheritanceControls, JobAttributes } from "./model.ts";
import { suggestion } from "./nearest.ts";

type Path = readonly PropertyKey[];

/** Attributes that a job replaces, and may add to with `!inherit`. */
const REPLACED: Readonly<Record<string, keyof JobAttributes>> = {
  dependencies: "dependencies",
  files: "files",
  "irrelevant-files": "irrelevantFiles",
};

/** Attributes that a job adds to, and may replace with `!override`. */
const ADDED: Readonly<Record<string, keyof JobAttributes>> = {
  "extra-vars": "extraVars",
  "failure-output": "failureOutput",
  "group-vars": "groupVars",
  "host-vars": "hostVars",
  "include-vars": "includeVars",
  "post-run": "postRun",
  "pre-run": "preRun",
  provides: "provides",
  "required-projects": "requiredProjects",
  requires: "requires",
  semaphores: "semaphores",
  tags: "tags",
  vars: "vars",
};

/**
 * Reads the tags `!override` and `!inherit` of a job's attributes (§4.3). At an attribute that they cannot be for they are
 * told, since a job that has more or less of its parent than was meant is another job.
 */
export function controlsOf(
  check: FileCheck,
  item: ConfigItem,
  path: Path,
  keys: readonly string[],
): InheritanceControls {
  const controls: Partial<Record<keyof JobAttributes, "override" | "inherit">> = {};
  for (const key of keys) {
    const tag = item.tagOf([...path, key]);
    if (tag === undefined) continue;
    const attribute = REPLACED[key] ?? ADDED[key];
    if (attribute === undefined) {
      const known = [...Object.keys(REPLACED), ...Object.keys(ADDED)].sort().join(", ");
      check.add(item, [...path, key], `${key}: !${tag} is for ${known} only`);
    } else controls[attribute] = tag;
  }
  return controls;
}

/** They say which definition it is, and nothing that a later one could set again. */
const OF_DEFINITION: ReadonlySet<string> = new Set([
  "attribute-control",
  "branches",
  "parent",
  "variant-description",
]);
/** Attributes by another of their names. */
const CALLED: Readonly<Record<string, string>> = { command: "run", semaphore: "semaphores" };

/** Names that `attribute-control` makes final, each of an attribute that there is. */
export function finalAttributesOf(
  check: FileCheck,
  item: ConfigItem,
  path: Path,
  written: Readonly<Record<string, unknown>> | undefined,
  known: readonly string[],
): readonly string[] {
  const names = Object.keys(written ?? {});
  for (const name of names) {
    if (OF_DEFINITION.has(name)) {
      const message = `attribute-control: ${name} cannot be final; final at the job itself lets nobody inherit from it`;
      check.add(item, [...path, "attribute-control", name], message);
      continue;
    }
    if (known.includes(name)) continue;
    const near = suggestion(name, known);
    check.add(
      item,
      [...path, "attribute-control", name],
      `attribute-control: there is no attribute ${name}${near}`,
    );
  }
  return names.map((name) => CALLED[name] ?? name);
}
