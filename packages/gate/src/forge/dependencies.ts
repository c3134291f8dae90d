import type { Dependency } from "../core/index.ts";

/** A dependency as a change says it. */
export interface Need {
  /** As the author wrote it, or `git`. */
  readonly source: string;
  /** Number of a change, whether there is one or not; `null` when `problem` says why it cannot be told. */
  readonly target: number | null;
  /** Of a parent in git. */
  readonly revision: number | null;
  /** The project that the source names besides. */
  readonly project: string | null;
  readonly problem: string | null;
}

const LINE = /^depends-on:[ \t]*(.*?)[ \t\r]*$/gim;
const MAX_SOURCE_LENGTH = 500;

/**
 * The `Depends-On:` lines of a message, in any letter case and from the first column on, each once.
 * @param urls Base URLs of this gate, below which changes are at `/changes/NUMBER`.
 */
export function readNeeds(message: string, urls: readonly string[]): Need[] {
  const needs = new Map<string, Need>();
  for (const [, text] of message.matchAll(LINE)) {
    const source = text!.slice(0, MAX_SOURCE_LENGTH);
    if (!needs.has(source)) needs.set(source, readNeed(source, urls));
  }
  return [...needs.values()];
}

function readNeed(source: string, urls: readonly string[]): Need {
  const none = { source, target: null, revision: null, project: null };
  const own = /^gate:(.+)\/([1-9]\d{0,14})$/.exec(source);
  if (own !== null) return { ...none, target: Number(own[2]), project: own[1]!, problem: null };
  if (/^gate:/i.test(source)) return { ...none, problem: "write it as gate:PROJECT/NUMBER" };
  for (const url of urls) {
    const base = `${url.replace(/\/+$/, "")}/changes/`;
    if (!source.toLowerCase().startsWith(base.toLowerCase())) continue;
    const number = /^([1-9]\d{0,14})\/?(?:[?#].*)?$/.exec(source.slice(base.length));
    if (number !== null) return { ...none, target: Number(number[1]), problem: null };
    return { ...none, problem: `write it as ${base}NUMBER` };
  }
  const host = /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#@]*@)?([^/?#\s]+)[^\s]*$/i.exec(source)?.[1];
  if (host !== undefined) return { ...none, problem: `this gate knows no forge at ${host}` };
  return { ...none, problem: "it names no change: write gate:PROJECT/NUMBER or the change's address" };
}

/** What is known of a change that is needed. */
export interface Target {
  readonly project: string;
  readonly state: "open" | "merged" | "abandoned";
  readonly revision: number;
}

/** What a need comes to now: `null` when it is met, for its change has merged. */
export function resolveNeed(
  need: Need,
  self: number,
  target: Target | undefined,
  connection: string,
): Dependency | null {
  const { source, revision } = need;
  const problem = need.problem ?? problemOf(need, self, target);
  if (problem !== null) {
    // What is built on it, or is being tested on top of it, still is.
    const change = isAbandoned(need, target) ? `${connection}:${need.target}` : null;
    return { source, change, revision: change === null ? null : revision, problem };
  }
  if (target!.state === "merged") return null;
  return { source, change: `${connection}:${need.target}`, revision, problem: null };
}

function isAbandoned({ problem, project }: Need, target: Target | undefined): boolean {
  if (problem !== null || target?.state !== "abandoned") return false;
  return project === null || project === target.project;
}

function problemOf(need: Need, self: number, target: Target | undefined): string | null {
  const { target: number, project, revision } = need;
  if (number === self) return "a change cannot need itself";
  if (target === undefined) return `there is no change ${number} yet`;
  if (project !== null && project !== target.project)
    return `change ${number} is of project ${target.project}, not of ${project}`;
  if (target.state === "abandoned") return `change ${number} is abandoned`;
  if (target.state === "merged" && revision !== null && revision !== target.revision)
    return `it is built on revision ${revision} of change ${number}, which merged as revision ${target.revision}: rebase it`;
  return null;
}
