import type * as z from "zod";
import type { ConfigItem, FileProblem } from "./items.ts";
import { isObject } from "./items.ts";
import { CONFIG_LIMITS } from "./limits.ts";
import { suggestion } from "./nearest.ts";
import { compileRegex, type Regex } from "./regex.ts";
import { unbuilt } from "./unbuilt.ts";

type Path = readonly PropertyKey[];

/** Checks one file: what is found wrong, and how much of what is counted has been used. */
export class FileCheck {
  readonly problems: FileProblem[] = [];
  readonly #patterns = new Set<string>();

  add(item: ConfigItem, path: Path, message: string): void {
    this.problems.push({ line: item.lineOf(path), message });
  }

  /**
   * The value at `path` as the schema gives it; undefined when it does not fit, which is then told.
   * @param names Keys that Zuul has and the gate has not.
   */
  shape<S extends z.ZodType>(
    item: ConfigItem,
    path: Path,
    value: unknown,
    schema: S,
    names: Readonly<Record<string, string | null>> = {},
  ): z.output<S> | undefined {
    let isRefused = false;
    let rest = value;
    if (isObject(value)) {
      const built: Record<string, unknown> = {};
      for (const [key, inner] of Object.entries(value)) {
        const message = unbuilt(names, key);
        if (message === undefined) built[key] = inner;
        else {
          this.add(item, [...path, key], message);
          isRefused = true;
        }
      }
      rest = built;
    }
    const parsed = schema.safeParse(rest);
    if (parsed.success) return isRefused ? undefined : parsed.data;
    const known = "shape" in schema ? Object.keys(schema.shape as object) : [];
    for (const issue of parsed.error.issues) this.#tell(item, path, issue, [], known);
    return undefined;
  }

  /** Each of them compiled; undefined when one is wrong. */
  regexes(
    item: ConfigItem,
    path: Path,
    written: readonly (string | { regex: string; negate?: boolean | undefined })[],
  ): readonly Regex[] | undefined {
    const found: Regex[] = [];
    for (const [index, one] of written.entries()) {
      const pattern = typeof one === "string" ? one : one.regex;
      this.#patterns.add(pattern);
      if (this.#patterns.size > CONFIG_LIMITS.maxRegexes) {
        this.add(item, path, `a file may have ${CONFIG_LIMITS.maxRegexes} different regular expressions`);
        return undefined;
      }
      const regex = compileRegex(pattern, typeof one === "string" ? false : one.negate);
      if (typeof regex === "string") {
        this.add(item, [...path, index], `${name(path)}: ${regex}`);
        return undefined;
      }
      found.push(regex);
    }
    return found;
  }

  #tell(item: ConfigItem, base: Path, issue: z.core.$ZodIssue, above: Path, known: readonly string[]): void {
    const path = [...base, ...above, ...issue.path];
    if (issue.code === "unrecognized_keys") {
      for (const key of issue.keys) {
        const near = suggestion(key, path.length === base.length ? known : []);
        this.add(
          item,
          [...path, key],
          `unknown key ${JSON.stringify(key)} in ${name(path) || item.kind}${near}`,
        );
      }
      return;
    }
    if (issue.code === "invalid_union") {
      // The alternative that got furthest is the one that was meant.
      const reached = (issues: readonly z.core.$ZodIssue[]): number =>
        Math.max(0, ...issues.map((one) => one.path.length + (one.code === "unrecognized_keys" ? 1 : 0)));
      const meant = issue.errors.toSorted((a, b) => reached(b) - reached(a))[0] ?? [];
      if (reached(meant) > 0) {
        for (const inner of meant) this.#tell(item, base, inner, [...above, ...issue.path], known);
        return;
      }
      if (issue.message === "Invalid input") {
        this.add(item, path, `${name(path) || item.kind}: is none of what may stand here`);
        return;
      }
    }
    if (issue.code === "invalid_key") {
      const why = issue.issues[0]?.message ?? "is no name";
      this.add(item, path, `${name(path)}: ${why}`);
      return;
    }
    this.add(item, path, `${name(path) || item.kind}: ${sentence(issue)}`);
  }
}

const WORDS: Readonly<Record<string, string>> = {
  string: "text",
  boolean: "true or false",
  number: "a number",
  int: "a whole number",
  array: "a list",
  object: "a map of keys and values",
  record: "a map of keys and values",
};

function sentence(issue: z.core.$ZodIssue): string {
  if (issue.code === "invalid_type" && issue.message.startsWith("Invalid input")) {
    if (issue.message.endsWith("undefined")) return "is missing";
    return `must be ${WORDS[issue.expected] ?? issue.expected}`;
  }
  if (issue.code === "invalid_value" && issue.message.startsWith("Invalid")) {
    return `must be ${issue.values.map(String).join(" or ")}`;
  }
  if (issue.code === "too_small" && issue.message.startsWith("Too small"))
    return `must be at least ${issue.minimum}`;
  if (issue.code === "too_big" && issue.message.startsWith("Too big"))
    return `must be at most ${issue.maximum}`;
  return issue.message;
}

function name(path: Path): string {
  return path.map(String).join(".");
}
