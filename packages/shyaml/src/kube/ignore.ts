import type { Change, Side } from "../diff/change.ts";
import type { DiffReport, DocumentDiff } from "../diff/compare.ts";
import type { Segment } from "../diff/path.ts";
import {
  type DataNode,
  isEmptyCollection,
  placeOf,
  type Source,
  stringAt,
  valueAt,
} from "../document/node.ts";
import { ShyamlError } from "../errors.ts";

/** A step of a rule's path. */
type Step =
  | { readonly kind: "key"; readonly pattern: RegExp }
  | {
      readonly kind: "item";
      readonly match: readonly (readonly [string, string])[];
      readonly place?: number;
    };

/** One rule of `ignore`: what is not to count, and why. */
export interface IgnoreRule {
  readonly kind?: string;
  readonly name?: string;
  readonly namespace?: string;
  /** Empty for all of an object. */
  readonly steps: readonly Step[];
  readonly path?: string;
  readonly reason: string;
  /** `.shyaml.yml:3`. */
  readonly place: string;
}

const FIELDS = ["kind", "name", "namespace", "path", "reason"];
/** Rules of one file. */
export const MAX_IGNORE_RULES = 1_000;

/**
 * Reads the rules of `ignore`.
 * @throws ShyamlError `SETTING_INVALID` with the place in the file.
 */
export function readIgnoreRules({ node, source }: { node: DataNode; source: Source }): IgnoreRule[] {
  const refuse = (at: DataNode, detail: string): never => {
    throw new ShyamlError("SETTING_INVALID", detail, placeOf(source, at.start));
  };
  if (node.kind !== "list") return refuse(node, "ignore is a list of rules");
  if (node.items.length > MAX_IGNORE_RULES) refuse(node, `ignore has more than ${MAX_IGNORE_RULES} rules`);
  return node.items.map(({ node: rule }) => {
    if (rule.kind !== "map") return refuse(rule, `a rule is a mapping of ${FIELDS.join(", ")}`);
    for (const { key, node: value } of rule.entries) {
      const field = key.kind === "scalar" ? key.text : "";
      if (!FIELDS.includes(field))
        refuse(key, `a rule has no ${JSON.stringify(field)}, of ${FIELDS.join(", ")}`);
      if (value.kind !== "scalar" || value.type === "null") refuse(value, `${field} is a text`);
    }
    const field = (name: string) => stringAt(rule, name);
    const reason = field("reason");
    if (reason === undefined || reason.trim() === "") return refuse(rule, "a rule says its reason");
    const [kind, name, namespace, path] = [field("kind"), field("name"), field("namespace"), field("path")];
    if (kind === undefined && name === undefined && path === undefined)
      refuse(rule, "a rule has a kind, a name or a path");
    const steps = path === undefined ? [] : stepsOf(path);
    if (steps === undefined)
      return refuse(
        valueAt(rule, "path")!,
        "a path is as differences show it: spec.containers[name=web].args[0]",
      );
    const { line } = placeOf(source, rule.start);
    return {
      ...(kind !== undefined && { kind }),
      ...(name !== undefined && { name }),
      ...(namespace !== undefined && { namespace }),
      ...(path !== undefined && { path }),
      steps,
      reason,
      place: `${source.name}:${line}`,
    };
  });
}

/** `spec.containers[name=web].env[*]["a.b"]`, with `*` for any characters of a key. Undefined for what is no path. */
function stepsOf(path: string): Step[] | undefined {
  const steps: Step[] = [];
  const token = /\[("(?:[^"\\]|\\.)*")\]|\[(\*|\d+|[^\]]*=[^\]]*)\]|\.?([^.[\]]+)/y;
  while (token.lastIndex < path.length) {
    const found = token.exec(path);
    if (found === null) return undefined;
    const [, quoted, item, key] = found;
    if (item === "*") steps.push({ kind: "item", match: [] });
    else if (item !== undefined && /^\d+$/.test(item))
      steps.push({ kind: "item", match: [], place: Number(item) });
    else if (item !== undefined) {
      const match = item.split(",").map((pair): [string, string] => {
        const at = pair.indexOf("=");
        return [pair.slice(0, at), pair.slice(at + 1).replace(/^"(.*)"$/, "$1")];
      });
      steps.push({ kind: "item", match });
    } else steps.push({ kind: "key", pattern: wildcard(quoted === undefined ? key! : unquoted(quoted)) });
  }
  return steps.length === 0 ? undefined : steps;
}

function unquoted(text: string): string {
  try {
    return JSON.parse(text) as string;
  } catch {
    return text.slice(1, -1);
  }
}

function wildcard(text: string): RegExp {
  return new RegExp(`^${text.split(/\*+/).map(literal).join(".*")}$`, "s");
}

function literal(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
}

/** What rules made of a report. */
export interface Ignored {
  readonly report: DiffReport;
  /** How many differences each rule took away, in the rules' order. */
  readonly counts: readonly number[];
}

/** The report without what rules ignore, so that it does not count for the exit code either. */
export function ignoring(report: DiffReport, rules: readonly IgnoreRule[]): Ignored {
  const counts = rules.map(() => 0);
  const documents = report.documents.flatMap((diff): DocumentDiff[] => {
    const own = [...rules.entries()].filter(([, rule]) => isAbout(rule, diff));
    const whole = own.find(([, { steps }]) => steps.length === 0);
    if (whole !== undefined) {
      counts[whole[0]]! += Math.max(1, diff.changes.length);
      return [];
    }
    if (diff.changes.length === 0) return [diff];
    const changes = diff.changes.flatMap((change): Change[] => {
      let left: Change | undefined = change;
      for (const [i, { steps }] of own) {
        if (left === undefined) break;
        const after = withoutIgnored(left, steps);
        if (after !== left) counts[i]!++;
        left = after;
      }
      return left === undefined ? [] : [left];
    });
    return changes.length === 0 && diff.status === "changed" ? [] : [{ ...diff, changes }];
  });
  return { report: { ...report, documents }, counts };
}

function isAbout({ kind, name, namespace }: IgnoreRule, { before, after }: DocumentDiff): boolean {
  const identity = (after ?? before)!.identity;
  if (kind === undefined && name === undefined && namespace === undefined) return true;
  if (identity === undefined) return false;
  const group = identity.apiVersion.includes("/") ? `.${identity.apiVersion.split("/")[0]}` : "";
  if (kind !== undefined && kind !== identity.kind && kind !== `${identity.kind}${group}`) return false;
  if (name !== undefined && !wildcard(name).test(identity.name)) return false;
  return namespace === undefined || wildcard(namespace).test(identity.namespace);
}

/** A change without what a path takes from it: all of it below the path, and a part of it above. */
function withoutIgnored(change: Change, steps: readonly Step[]): Change | undefined {
  const { path, before, after, kind } = change;
  const common = Math.min(path.length, steps.length);
  for (let i = 0; i < common; i++) {
    if (!isStep(steps[i]!, path[i]!)) return change;
  }
  if (steps.length <= path.length) return undefined;
  if ((kind !== "added" && kind !== "removed") || (before ?? after)!.node.kind === "scalar") return change;
  const side = (before ?? after)!;
  const node = stripped(side.node, steps.slice(path.length));
  if (node === side.node) return change;
  if (node.kind !== "scalar" && isEmptyCollection(node)) return undefined;
  const changed: Side = { ...side, node };
  return before === undefined ? { ...change, after: changed } : { ...change, before: changed };
}

function isStep(step: Step, segment: Segment): boolean {
  if (segment.kind === "key") return step.kind === "key" && step.pattern.test(segment.name);
  if (step.kind !== "item") return false;
  if (step.place !== undefined) return segment.before === step.place || segment.after === step.place;
  return step.match.every(([field, value]) =>
    segment.match?.some(([own, is]) => own === field && is === value),
  );
}

function stripped(node: DataNode, [step, ...rest]: readonly Step[]): DataNode {
  if (step === undefined) return node;
  if (node.kind === "map" && step.kind === "key") {
    const entries = node.entries.flatMap((entry) => {
      if (entry.key.kind !== "scalar" || !step.pattern.test(entry.key.text)) return [entry];
      if (rest.length === 0) return [];
      const value = stripped(entry.node, rest);
      return isEmptyCollection(value) && !isEmptyCollection(entry.node) ? [] : [{ ...entry, node: value }];
    });
    return { ...node, entries };
  }
  if (node.kind === "list" && step.kind === "item") {
    const items = node.items.flatMap((item, place) => {
      const isMatch = step.match.every(
        ([field, value]) => stringAt(item.node, ...field.split(".")) === value,
      );
      if (!isMatch || (step.place !== undefined && step.place !== place)) return [item];
      return rest.length === 0 ? [] : [{ ...item, node: stripped(item.node, rest) }];
    });
    return { ...node, items };
  }
  return node;
}

/** In sentences: what rules took away, and which of them took nothing. */
export function ignoreNotes(
  rules: readonly IgnoreRule[],
  counts: readonly number[],
): { used: string[]; unused: string[] } {
  const used: string[] = [];
  const unused: string[] = [];
  for (const [i, { kind, name, path, reason, place }] of rules.entries()) {
    const what = [[kind, name].filter((text) => text !== undefined).join(" "), path]
      .filter((text) => text)
      .join(" ");
    const times = counts[i]!;
    if (times === 0) unused.push(`${place}: the rule for ${what} ignores nothing`);
    else used.push(`${times} ${times === 1 ? "difference" : "differences"} ignored (${what}): ${reason}`);
  }
  return { used, unused };
}
