import { Problem } from "@drover/server/http";
import type { FastifyRequest } from "fastify";
import type * as z from "zod";
import type { User } from "../forge/index.ts";
import type { Gate } from "../gate.ts";
import { userOf } from "./user-of.ts";

/* What routes read of a request. */

/** @throws Problem `bad-request` */
export function query<S extends z.ZodObject>(schema: S, request: FastifyRequest): z.output<S> {
  return checked(schema, request.query);
}

/** @throws Problem `bad-request` */
export function body<S extends z.ZodObject>(schema: S, { body: bytes }: FastifyRequest): z.output<S> {
  let value: unknown;
  try {
    value = JSON.parse(bytes === undefined || bytes === null ? "" : String(bytes));
  } catch {
    throw new Problem("bad-request", "the body is no JSON");
  }
  return checked(schema, value);
}

function checked<S extends z.ZodObject>(schema: S, value: unknown): z.output<S> {
  const { success, data, error } = schema.safeParse(value);
  if (success) return data;
  const [issue] = error.issues;
  throw new Problem(
    "bad-request",
    `${issue!.path.map(String).join(".") || "the request"}: ${issue!.message}`,
  );
}

/** @throws Problem `unauthenticated`, `forbidden` */
export function operator(gate: Gate, request: FastifyRequest): User {
  const user = userOf(gate, request);
  if (user.role !== "operator") throw new Problem("forbidden", `${user.name} is no operator`);
  return user;
}

export function numberIn(text: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 1) throw new Problem("bad-request", "that is no number");
  return number;
}
