import type { FastifyInstance } from "fastify";
import type { SemaphoreUser } from "../core/index.ts";
import type { Gate } from "../gate.ts";
import type { SemaphoreUserView, SemaphoreView } from "./types.ts";
import { API } from "./views.ts";

/** Routes that tell of what builds share and what they leave. */
export function addResourceRoutes(app: FastifyInstance, gate: Gate): void {
  app.get(`${API}/semaphores`, (): SemaphoreView[] => {
    const user = ({ build, job, subject, pipeline }: SemaphoreUser): SemaphoreUserView => {
      const change = gate.forge.numberOf(subject) ?? null;
      return { build: build === null ? null : String(build), job, subject, change, pipeline };
    };
    return gate.scheduler.core.semaphores().map(({ name, max, holders, waiting }) => {
      return { name, max, holders: holders.map(user), waiting: waiting.map(user) };
    });
  });
}
