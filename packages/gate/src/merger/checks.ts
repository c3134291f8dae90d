import { z } from "zod";
import { OBJECT_ID } from "../git/objects.ts";
import { isRefName } from "../git/refs.ts";
import { MERGE_MODES, type MergeRequest, MergerError } from "./request.ts";

/** Steps of one request. */
export const MAX_STEPS = 1_000;

const project = z.string().min(1).max(1_000);
const branch = z.string().refine((name) => isRefName(`refs/heads/${name}`), "is no name of a branch");
const commit = z.string().regex(OBJECT_ID, "is no full object id");

const REQUEST = z.object({
  steps: z
    .array(z.object({ project, branch, commit, mode: z.enum(MERGE_MODES), since: commit.optional() }))
    .max(MAX_STEPS),
  bases: z.array(z.object({ project, branch, commit })).max(MAX_STEPS).optional(),
});

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
