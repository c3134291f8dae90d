import { z } from "zod";
import { OBJECT_ID } from "../git/objects.ts";
import { isRefName } from "../git/ref-names.ts";
import { MERGE_MODES, type MergeRequest, MergerError } from "./request.ts";

/** Steps of one request. */
export const MAX_STEPS = 1_000;

const project = z.string().min(1).max(1_000);
const branch = z.string().refine((name) => isRefName(`refs/heads/${name}`), "is no name of a branch");
const commit = z.string().regex(OBJECT_ID, "is no full object id");

const tips = z.array(z.object({ project, branch, commit })).max(MAX_STEPS);

export const REQUEST = z.object({
  steps: z
    .array(z.object({ project, branch, commit, mode: z.enum(MERGE_MODES), since: commit.exactOptional() }))
    .max(MAX_STEPS),
  bases: tips.exactOptional(),
});

const counted = { bases: tips, merges: z.int().nonnegative() };

export const ANSWER = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("merged"),
    steps: z.array(z.object({ base: commit, commit })),
    heads: tips,
    warnings: z.array(z.string()),
    ...counted,
  }),
  z.object({
    kind: z.literal("conflict"),
    link: z.int().nonnegative(),
    detail: z.string(),
    paths: z.array(z.string()),
    ...counted,
  }),
  z.object({ kind: z.literal("error"), detail: z.string() }),
]);

/** @throws MergerError `MERGER_REQUEST_INVALID` */
export function checkRequest(request: unknown): asserts request is MergeRequest {
  const { error } = REQUEST.safeParse(request);
  if (error === undefined) return;
  const [issue] = error.issues;
  const what = `${issue?.path.join(".") ?? ""}: ${issue?.message ?? ""}`;
  throw new MergerError("MERGER_REQUEST_INVALID", what);
}

/** Whether it can stand in the name of a ref. */
export function isHoldId(id: string): boolean {
  return /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$/.test(id) && isRefName(`refs/${id}`);
}
