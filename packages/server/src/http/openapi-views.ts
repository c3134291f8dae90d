import type { OpenApiParts } from "./openapi.ts";

/* The part of the API that the dashboard stands on. Its answers are the types of api.ts. */

const LIST = ["after", "limit"];

/** Method, path, summary, query fields, whether it changes something. */
const ROUTES: readonly (readonly [string, string, string, readonly string[], boolean])[] = [
  ["get", "/v1/overview", "Levels, counts and rates of the server", [], false],
  [
    "get",
    "/v1/changes",
    "A stream of what changes: everything once, then each second what is new",
    [],
    false,
  ],
  ["get", "/v1/functions", "Functions with their counts", ["q", "sort", ...LIST], false],
  ["get", "/v1/functions/{fn}", "One function", [], false],
  ["get", "/v1/functions/{fn}/jobs", "Its live jobs", LIST, false],
  [
    "get",
    "/v1/jobs/{handle}/detail",
    "Who waits for a job, where it runs, and what happened to it",
    [],
    false,
  ],
  ["get", "/v1/search", "Jobs of a unique, of all functions", ["unique"], false],
  [
    "get",
    "/v1/fleet",
    "The servers of the fleet, and to which of them a function and unique go",
    ["function", "unique"],
    false,
  ],
  ["get", "/v1/workers", "Workers with their functions and jobs", LIST, false],
  ["get", "/v1/schedules", "Schedules and when they come next", [], false],
  ["get", "/v1/dead-letters", "Dead letters", LIST, false],
  ["post", "/v1/functions/{fn}/pause", "Give out no more jobs of a function", [], true],
  ["post", "/v1/functions/{fn}/resume", "Give them out again", [], true],
  ["post", "/v1/dead-letters/{handle}/requeue", "Submit a dead letter again", [], true],
  ["delete", "/v1/dead-letters/{handle}", "Forget a dead letter", [], true],
];

/** Paths for the document. */
export function viewPaths({ path, query, common, problem }: OpenApiParts): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const [method, url, summary, fields, isAct] of ROUTES) {
    const parameters = [...url.matchAll(/\{(\w+)\}/g)].map(([, name]) => path(name!));
    const answer = isAct
      ? { 204: { description: "Done." } }
      : {
          200: {
            description: "As it is now.",
            content: { "application/json": { schema: { type: "object" } } },
          },
        };
    paths[url] ??= {};
    paths[url][method] = {
      summary,
      description: `Needs the right \`${isAct ? "admin" : "status"}\`.`,
      parameters: [...parameters, ...fields.map(query)],
      responses: { ...answer, ...common, 404: problem },
    };
  }
  return paths;
}
