import { Problem } from "@drover/server/http";
import type { FastifyRequest } from "fastify";
import type { User } from "../forge/index.ts";
import type { Gate } from "../gate.ts";

/** @throws Problem `unauthenticated` */
export function userOf(gate: Gate, { headers }: FastifyRequest): User {
  const token = /^bearer +(\S+)$/i.exec(headers.authorization ?? "")?.[1];
  if (token === undefined)
    throw new Problem("unauthenticated", "send your token of this gate: Authorization: Bearer TOKEN");
  const user = gate.forge.users.authenticate(token);
  if (user === undefined) throw new Problem("unauthenticated", "the token is not valid (any more)");
  return user;
}
