import { Problem } from "@drover/server/http";
import type { FastifyInstance } from "fastify";
import * as z from "zod";
import {
  type Autohold,
  DEFAULT_HOLD_MS,
  MAX_AUTOHOLDS,
  MAX_HELD_BUILDS,
  MAX_HOLD_MS,
} from "../autohold/index.ts";
import { compileRegex } from "../config/regex.ts";
import type { Gate } from "../gate.ts";
import { body, numberIn, operator } from "./request-parts.ts";
import type { AutoholdView, DoneView } from "./types.ts";
import { API } from "./views.ts";

const text = z.string().min(1).max(1_000);

const autoholdBody = z
  .strictObject({
    project: text,
    job: text,
    change: z.number().int().min(1).optional(),
    /** Matched from the beginning of refs and branches. */
    ref: text
      .refine((pattern) => typeof compileRegex(pattern) !== "string", "is no regular expression")
      .optional(),
    reason: text,
    count: z.number().int().min(1).max(MAX_HELD_BUILDS, `${MAX_HELD_BUILDS} builds at most`).default(1),
    holdMs: z.number().int().min(1_000).max(MAX_HOLD_MS, "a week at most").default(DEFAULT_HOLD_MS),
  })
  .refine(
    ({ change, ref }) => change === undefined || ref === undefined,
    "either a change or a ref, not both",
  );

/** Routes about workspaces of failed builds that are held. */
export function addAutoholdRoutes(app: FastifyInstance, gate: Gate): void {
  const { autoholds } = gate;
  const view = ({ change, ...autohold }: Autohold): AutoholdView => ({
    ...autohold,
    change: change === null ? null : (gate.forge.numberOf(change) ?? null),
    held: autoholds
      .held(Date.now())
      .filter((held) => held.autohold === autohold.id)
      .map(({ build, execution, executor, sinceMs, untilMs }) => ({
        build: String(build),
        ...{ execution, executor, sinceMs, untilMs },
      })),
  });
  app.get(`${API}/autoholds`, (): AutoholdView[] => autoholds.table.list().map(view));
  app.get(`${API}/autoholds/:id`, (request): AutoholdView => {
    const id = numberIn((request.params as { id: string }).id);
    const found = autoholds.table.list().find((one) => one.id === id);
    if (found === undefined) throw new Problem("not-found", `there is no autohold ${id}`);
    return view(found);
  });
  app.post(`${API}/autoholds`, async (request): Promise<DoneView & { readonly id: number }> => {
    const { name } = operator(gate, request);
    const { change, ref, ...asked } = body(autoholdBody, request);
    if (!gate.forge.projects().includes(asked.project))
      throw new Problem("not-found", `there is no project ${asked.project}`);
    const record = change === undefined ? null : gate.forge.record(change);
    if (record === undefined) throw new Problem("not-found", `there is no change ${change}`);
    if (record !== null && record.project !== asked.project)
      throw new Problem("not-found", `change ${change} is of ${record.project}, not of ${asked.project}`);
    const of = { change: record?.id ?? null, ref: ref ?? null, askedBy: name, madeMs: Date.now() };
    const made = autoholds.table.add({ ...asked, ...of });
    if (made === undefined)
      throw new Problem("conflict", `there are ${MAX_AUTOHOLDS} requests to hold builds; delete some`);
    const isKnown = gate.loader.current?.layout.parts.jobs.has(made.job) ?? true;
    return {
      id: made.id,
      done: [
        ...(isKnown ? [] : [`no job is called ${made.job} so far, by what is merged`]),
        `autohold ${made.id}: ${made.count === 1 ? `the next build of ${made.job} that fails is held` : `the next ${made.count} builds of ${made.job} that fail are held`}`,
      ],
    };
  });
  app.delete(`${API}/autoholds/:id`, async (request): Promise<DoneView> => {
    operator(gate, request);
    const id = numberIn((request.params as { id: string }).id);
    if (!autoholds.table.remove(id)) throw new Problem("not-found", `there is no autohold ${id}`);
    return { done: [`autohold ${id} is gone, and what was held for it is let go`] };
  });
}
