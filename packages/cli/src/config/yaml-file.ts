import { isAlias, isMap, isScalar, LineCounter, type Node, type Pair, parseDocument } from "yaml";
import type * as z from "zod";
import { suggestion } from "./nearest.ts";
import type { ConfigEntry, ConfigProblem } from "./problem.ts";
import { type Config, configSchema, knownKeys } from "./schema.ts";

/** What one drover.yaml says. */
export interface ConfigFile {
  readonly entries: readonly ConfigEntry[];
  readonly config: Config;
  /** Globs of `functions` in the order of the file, which decides. */
  readonly globs: readonly string[];
  readonly problems: readonly ConfigProblem[];
}

/** Reads a drover.yaml. Problems are returned with their line and column, so that all can be told at once. */
export function readConfigFile(text: string, name: string): ConfigFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${name}:${line}:${col}`;
  };
  const broken = document.errors.map(({ pos, message }) => ({ where: at(pos[0]), message }));
  if (broken.length > 0) return { entries: [], config: {}, globs: [], problems: broken };

  const root = document.contents;
  const find = (path: readonly PropertyKey[]): Pair | undefined => {
    let node: unknown = root;
    let pair: Pair | undefined;
    for (const key of path) {
      if (isAlias(node)) node = node.resolve(document);
      if (!isMap(node)) return pair;
      const next = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(key));
      if (next === undefined) return pair;
      pair = next;
      node = next.value;
    }
    return pair;
  };
  const whereKey = (path: readonly PropertyKey[]): string => at(start(find(path)?.key));
  const whereValue = (path: readonly PropertyKey[]): string => {
    const pair = find(path);
    return at(start(pair?.value ?? pair?.key));
  };

  // An empty file, or one of comments only, sets nothing.
  const parsed = configSchema.safeParse(document.toJS() ?? {});
  if (!parsed.success) {
    const problems = parsed.error.issues.flatMap((issue) => problemsOf(issue, whereKey, whereValue));
    return { entries: [], config: {}, globs: [], problems };
  }
  const config = parsed.data;
  const entries: ConfigEntry[] = [];
  for (const [key, value] of Object.entries(config.server ?? {})) {
    if (key !== "limits") entries.push({ key, value, where: whereValue(["server", key]) });
  }
  for (const [key, value] of Object.entries(config.server?.limits ?? {})) {
    entries.push({ key: `limits.${key}`, value, where: whereValue(["server", "limits", key]) });
  }
  return { entries, config, globs: keysInOrder(find(["functions"])?.value, document), problems: [] };
}

/** A JavaScript object puts keys that look like numbers first; the document has them as they were written. */
function keysInOrder(node: unknown, document: Parameters<typeof parseDocument>[0] | object): string[] {
  const map = isAlias(node) ? node.resolve(document as never) : node;
  if (!isMap(map)) return [];
  return map.items.map(({ key }) => String(isScalar(key) ? key.value : key));
}

function problemsOf(
  issue: z.core.$ZodIssue,
  whereKey: (path: readonly PropertyKey[]) => string,
  whereValue: (path: readonly PropertyKey[]) => string,
): ConfigProblem[] {
  const { path } = issue;
  const name = path.map(String).join(".");
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({
      where: whereKey([...path, key]),
      message: `unknown key ${JSON.stringify(key)}${name === "" ? "" : ` in ${name}`}${suggestion(key, knownKeys(path))}`,
    }));
  }
  if (issue.code === "invalid_union") {
    // The alternative that got furthest is the one that was meant.
    const furthest = issue.errors.toSorted((a, b) => depth(b) - depth(a))[0] ?? [];
    const inner = furthest.filter(({ path: below }) => below.length > 0);
    if (inner.length > 0) {
      return inner.flatMap((one) =>
        problemsOf({ ...one, path: [...path, ...one.path] } as z.core.$ZodIssue, whereKey, whereValue),
      );
    }
    const first = furthest[0];
    if (first?.code === "unrecognized_keys") {
      return problemsOf({ ...first, path: [...path] } as z.core.$ZodIssue, whereKey, whereValue);
    }
  }
  return [{ where: whereValue(path), message: `${name === "" ? "the file" : name}: ${messageOf(issue)}` }];
}

function depth(issues: readonly z.core.$ZodIssue[]): number {
  return Math.max(
    0,
    ...issues.map((issue) => issue.path.length + (issue.code === "unrecognized_keys" ? 0.5 : 0)),
  );
}

function messageOf(issue: z.core.$ZodIssue): string {
  if (issue.code === "invalid_union") return "fits none of its forms";
  if (issue.code === "invalid_type" && (issue.expected === "object" || issue.expected === "record")) {
    return "must be a map of keys and values";
  }
  if (issue.code === "invalid_type" && issue.path.length > 0 && issue.message.endsWith("undefined")) {
    return "is missing";
  }
  return issue.message;
}

function start(node: unknown): number {
  return (node as Node | undefined)?.range?.[0] ?? 0;
}
