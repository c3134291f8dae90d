import { z } from "zod";
import type { BuildOutcome, ReturnedData } from "../executor/build-request.ts";

/* What executors answer. They are other machines, perhaps of another version: what they say is looked at before it is believed. */

const object = z.record(z.string(), z.json());

const returned: z.ZodType<ReturnedData> = z.object({
  logUrl: z.string().nullable(),
  artifacts: z.array(object),
  childJobs: z.array(z.string()).nullable(),
  warnings: z.array(z.string()),
  comment: z.string().nullable(),
  fileComments: z.record(z.string(), z.array(object)),
  pause: z.boolean(),
  retry: z.boolean(),
  variables: object,
  sealed: z.string().exactOptional(),
});

const result = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("final"),
    result: z.enum(["SUCCESS", "FAILURE", "TIMED_OUT", "POST_FAILURE", "DISK_FULL", "ERROR"]),
  }),
  z.object({ kind: z.literal("retry"), again: z.boolean() }),
  z.object({ kind: z.literal("lost") }),
]);

const outcome = z.object({
  execution: z.string().regex(/^[0-9a-f-]{36}$/, "is no name of an execution"),
  result,
  detail: z.string().nullable(),
  startedMs: z.number(),
  endedMs: z.number(),
  steps: z.array(z.custom<BuildOutcome["steps"][number]>((one) => typeof one === "object" && one !== null)),
  data: returned,
  artifacts: z.array(z.object({ name: z.string(), bytes: z.number(), sha256: z.string().exactOptional() })),
  outputBytes: z.number(),
  held: z.object({ untilMs: z.number(), executor: z.string() }).exactOptional(),
});

/** @returns why these bytes are no outcome of a build, in a few words, where they are none */
export function readOutcome(bytes: Uint8Array): BuildOutcome | string {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString());
  } catch (error) {
    return (error as Error).message;
  }
  const { data, error } = outcome.safeParse(value);
  const [first] = error?.issues ?? [];
  return data ?? `${first?.path.join(".") ?? ""}: ${first?.message ?? ""}`;
}

export const newsSchema = z.object({ failing: z.string().exactOptional(), paused: returned.exactOptional() });
