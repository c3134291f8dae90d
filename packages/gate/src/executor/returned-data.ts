import { constants } from "node:fs";
import { open, rm } from "node:fs/promises";
import type { JsonObject, JsonValue, ReturnedData } from "./build-request.ts";

/** Longest `$DROVER_RESULT`, and deepest nesting in it. */
export const MAX_RETURNED_BYTES = 1024 * 1024;
const MAX_RETURNED_DEPTH = 64;

/** What a build returned cannot be used: it is to know. */
export class ReturnedDataInvalid extends Error {
  override readonly name = "ReturnedDataInvalid";
}

/**
 * Takes what an entry has left in its result file, so that the next one begins with none.
 * @returns `undefined` when it left nothing.
 * @throws ReturnedDataInvalid
 */
export async function takeReturned(path: string): Promise<JsonObject | undefined> {
  const text = await takeText(path, "$DROVER_RESULT");
  if (text === undefined || text.trim() === "") return undefined;
  let value: JsonValue;
  try {
    value = JSON.parse(text) as JsonValue;
  } catch (error) {
    throw new ReturnedDataInvalid(`$DROVER_RESULT is not JSON: ${(error as Error).message}`);
  }
  if (!isObject(value)) throw new ReturnedDataInvalid("$DROVER_RESULT is no JSON object");
  checkDepth(value, "$DROVER_RESULT");
  return value;
}

/** @throws ReturnedDataInvalid */
export function checkDepth(value: JsonObject, what: string): void {
  if (depthOf(value) > MAX_RETURNED_DEPTH)
    throw new ReturnedDataInvalid(`${what} is nested deeper than ${MAX_RETURNED_DEPTH}`);
}

/**
 * Takes a file that a build may have made, as text, and removes it.
 * @param what It is called in errors.
 * @returns `undefined` when there is none.
 * @throws ReturnedDataInvalid
 */
export async function takeText(path: string, what: string): Promise<string | undefined> {
  try {
    // A link would lead to a file that the build may not read, and a pipe would never end.
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const facts = await file.stat();
      if (!facts.isFile()) throw new ReturnedDataInvalid(`${what} is no file`);
      if (facts.size > MAX_RETURNED_BYTES)
        throw new ReturnedDataInvalid(`${what} has ${facts.size} bytes, of at most ${MAX_RETURNED_BYTES}`);
      return await file.readFile("utf8");
    } finally {
      await file.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    if (error instanceof ReturnedDataInvalid) throw error;
    throw new ReturnedDataInvalid(
      `${what} cannot be read: ${(error as NodeJS.ErrnoException).code ?? error}`,
    );
  } finally {
    await rm(path, { force: true, recursive: true }).catch(() => {});
  }
}

/** `more` over `base`: objects are merged, artifacts, warnings and comments are added, all else is replaced. */
export function mergeReturned(base: JsonObject, more: JsonObject): JsonObject {
  const merged = mergeObjects(base, more);
  const [old, young] = [base.zuul, more.zuul];
  if (!isObject(old) || !isObject(young)) return merged;
  const zuul = merged.zuul as JsonObject;
  for (const key of ["artifacts", "warnings"]) {
    const [before, after] = [old[key], young[key]];
    if (Array.isArray(before) && Array.isArray(after)) zuul[key] = [...before, ...after];
  }
  const [before, after] = [old.file_comments, young.file_comments];
  if (isObject(before) && isObject(after)) {
    const comments = zuul.file_comments as JsonObject;
    for (const [path, list] of Object.entries(after)) {
      const earlier = Object.hasOwn(before, path) ? before[path] : undefined;
      if (Array.isArray(earlier) && Array.isArray(list)) comments[path] = [...earlier, ...list];
    }
  }
  return merged;
}

/** Sorts returned data into what the gate understands, and variables for dependent jobs. What has the wrong type is left out. */
export function readReturned(data: JsonObject): ReturnedData {
  const { zuul: said, ...variables } = data;
  const zuul = isObject(said) ? said : {};
  const logUrl = typeof zuul.log_url === "string" ? zuul.log_url : null;
  const comments = isObject(zuul.file_comments) ? zuul.file_comments : {};
  return {
    logUrl,
    artifacts: objectsOf(zuul.artifacts).map((artifact) => ({
      ...artifact,
      ...(typeof artifact.url === "string" ? { url: joined(logUrl, artifact.url) } : {}),
    })),
    childJobs: Array.isArray(zuul.child_jobs) ? stringsOf(zuul.child_jobs) : null,
    warnings: stringsOf(zuul.warnings),
    comment: typeof zuul.comment === "string" && zuul.comment.trim() !== "" ? zuul.comment : null,
    fileComments: Object.fromEntries(
      Object.entries(comments).map(([path, list]) => [path, objectsOf(list)] as const),
    ),
    pause: zuul.pause === true,
    retry: zuul.retry !== false,
    variables,
  };
}

/** A relative address is one below the log's. */
function joined(logUrl: string | null, url: string): string {
  if (logUrl === null || URL.canParse(url)) return url;
  const base = logUrl.endsWith("/") ? logUrl : `${logUrl}/`;
  return URL.canParse(url, base) ? new URL(url, base).href : url;
}

function mergeObjects(base: JsonObject, more: JsonObject): JsonObject {
  const merged = new Map(Object.entries(base));
  for (const [key, value] of Object.entries(more)) {
    const before = merged.get(key);
    merged.set(key, isObject(before) && isObject(value) ? mergeObjects(before, value) : value);
  }
  // So that a key `__proto__` is a key.
  return Object.fromEntries(merged);
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function objectsOf(value: JsonValue | undefined): JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

function stringsOf(value: JsonValue | undefined): string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === "string") : [];
}

function depthOf(root: JsonValue): number {
  let depth = 0;
  for (let level: JsonValue[] = [root]; level.length > 0; depth++) {
    level = level.flatMap((value) =>
      typeof value === "object" && value !== null ? (Object.values(value) as JsonValue[]) : [],
    );
  }
  return depth;
}
