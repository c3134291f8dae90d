import { viewPaths } from "./openapi-views.ts";
import { PROBLEMS } from "./problems.ts";

/*
 * The API as an OpenAPI 3.1 document, served at /v1/openapi.json. A test holds it against the routes and the answers.
 */

type Schema = Readonly<Record<string, unknown>>;

const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });
const bytes: Schema = { type: "string", format: "binary" };

const field = (name: string, description: string, schema: Schema): Schema => ({
  name,
  in: "header",
  description,
  schema,
});

const query = (name: string, description: string, schema: Schema, required = false): Schema => ({
  name,
  in: "query",
  description,
  required,
  schema,
});

const path = (name: string, description: string): Schema => ({
  name,
  in: "path",
  required: true,
  description,
  schema: { type: "string" },
});

const FN = path("fn", "Name of a function, percent-encoded UTF-8; up to 512 bytes.");
const HANDLE = path("handle", "Handle of a job.");
const UNIQUE = path("unique", "Unique as base64url of its bytes, or `~` and its text.");
const LEASE = path("lease", "The right to report on one run of a job.");

const ABOUT_JOB: Schema = {
  "Gearman-Handle": { description: "Handle of the job.", schema: { type: "string" } },
  "Gearman-Coalesced": { description: "`?1` when the job was there before.", schema: { enum: ["?0", "?1"] } },
  traceparent: {
    description: "W3C Trace Context of the run, where the request had one and the worker has told.",
    schema: { type: "string" },
  },
  "Gearman-Server": { description: "Identifies this start of the server.", schema: { type: "string" } },
};

const SUBMISSION_FIELDS: readonly Schema[] = [
  field(
    "Gearman-Unique",
    'Joins: `"text"`, or bytes as `:base64:`. `"-"` joins on the body. Also makes a repeated request safe.',
    {
      type: "string",
    },
  ),
  field("Idempotency-Key", "The same, by another name.", { type: "string" }),
  field("Gearman-Priority", "Default: normal.", { enum: ["high", "normal", "low"] }),
  field("Gearman-Run-At", "Unix time as `@1790000000`: a background job that waits for it.", {
    type: "string",
  }),
  field("Gearman-Result-TTL", "Seconds for which the result answers its unique.", {
    type: "integer",
    minimum: 0,
    maximum: 86_400,
  }),
  field("Gearman-Deadline", "Seconds after which this submission fails; others stay.", {
    type: "integer",
    minimum: 0,
    maximum: 86_400,
  }),
  field("Gearman-Keep", "`?1`: the job goes on when nobody waits for it any more.", { enum: ["?0", "?1"] }),
  field(
    "Gearman-Reducer",
    "Function that takes the results, which is the worker's to submit to: as the unique.",
    {
      type: "string",
    },
  ),
  field("Gearman-Rerun-If-Active", "`?1`: does not join a job that runs, but one that follows it.", {
    enum: ["?0", "?1"],
  }),
  field("Gearman-Require-Worker", "`?1`: refused when no worker can do it now.", { enum: ["?0", "?1"] }),
  field("Gearman-On-Conflict", "`reject`: refused when there is a job of the unique. Default: join.", {
    enum: ["join", "reject"],
  }),
  field(
    "Prefer",
    "`respond-async`: a background job. `wait=N`: 202 when it takes longer than N seconds (60 at most).",
    {
      type: "string",
    },
  ),
  field("traceparent", "W3C Trace Context, passed to the worker. One that is malformed is ignored.", {
    type: "string",
  }),
  field("tracestate", "The same; up to 512 characters, and nothing without `traceparent`.", {
    type: "string",
  }),
];

const problem = (description: string): Schema => ({
  description,
  content: { "application/problem+json": { schema: ref("Problem") } },
});

const COMMON: Readonly<Record<string, Schema>> = {
  400: problem("What is asked for makes no sense."),
  401: problem("A token is needed, or the one given is not valid."),
  403: problem("Not allowed."),
};

const json = (schema: Schema): Schema => ({ "application/json": { schema } });
const EVENTS: Schema = {
  "text/event-stream": { schema: { type: "string" } },
  "application/x-ndjson": { schema: ref("Event") },
};

const STATUS: Schema = {
  summary: "State of a job, or how a background job ended",
  responses: {
    200: { description: "What is known.", content: json(ref("Job")) },
    ...COMMON,
    404: problem("Nothing is known."),
  },
};

const STREAM: Schema = {
  summary: "All reports of a job from its beginning, as events",
  responses: {
    200: { description: "The stream; it ends with one outcome.", headers: ABOUT_JOB, content: EVENTS },
    ...COMMON,
    404: problem("There is no such job."),
    410: problem("What came before is not kept: submit again with the same unique."),
  },
};

const LAST_EVENT = field("Last-Event-ID", "`id` of the last event seen: only what followed it is sent.", {
  type: "string",
});

const REPORT: Schema = {
  responses: {
    204: { description: "Taken." },
    ...COMMON,
    410: problem("The job is not this lease's any more."),
  },
};

/** What the parts of the document share. */
export interface OpenApiParts {
  readonly path: (name: string) => Schema;
  readonly query: (name: string) => Schema;
  readonly common: Readonly<Record<string, Schema>>;
  readonly problem: Schema;
}

/** @param version Of the server. */
export function openApi(version: string): Schema {
  return {
    openapi: "3.1.0",
    info: {
      title: "Drover",
      version,
      description: "Jobs of a Gearman job server over HTTP. Workloads and results are bytes of any kind.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    security: [{}, { bearer: [] }],
    paths: {
      "/v1/functions/{fn}/jobs": {
        post: {
          summary: "Submit a job",
          description: "The body is the workload. The answer's form is the one that `Accept` asks for.",
          parameters: [
            FN,
            ...SUBMISSION_FIELDS,
            query("data", "`concat`: the body is all data and the result, as they come.", {
              enum: ["concat"],
            }),
          ],
          requestBody: { content: { "*/*": { schema: bytes } } },
          responses: {
            200: {
              description: "The result, or the reports as they come.",
              headers: ABOUT_JOB,
              content: {
                "application/octet-stream": { schema: bytes },
                ...EVENTS,
                "application/vnd.gearman": { schema: bytes },
              },
            },
            202: {
              description: "The job goes on without this request.",
              headers: ABOUT_JOB,
              content: json(ref("Accepted")),
            },
            ...COMMON,
            406: problem("No such form."),
            409: problem("There is a job of this unique, and joining is not wanted."),
            413: problem("Body, name or unique is too large."),
            429: problem("Too many submissions."),
            500: problem("The worker reported that the job failed, or an exception."),
            503: problem("A queue is full, no worker is there, or the server stops."),
            504: problem("The time that its worker or `Gearman-Deadline` gives the job was spent."),
          },
        },
      },
      "/v1/jobs/{handle}": {
        get: { ...STATUS, parameters: [HANDLE] },
        delete: {
          summary: "Take a job back that does not run",
          parameters: [HANDLE],
          responses: {
            202: {
              description: "Others wait for it: it goes with the last of them.",
              content: json({ type: "object" }),
            },
            204: { description: "It is gone." },
            ...COMMON,
            404: problem("There is no such job."),
            409: problem("It runs."),
          },
        },
      },
      "/v1/jobs/{handle}/events": { get: { ...STREAM, parameters: [HANDLE, LAST_EVENT] } },
      "/v1/functions/{fn}/uniques/{unique}": { get: { ...STATUS, parameters: [FN, UNIQUE] } },
      "/v1/uniques/{unique}": {
        get: { ...STATUS, summary: "State of the first live job of a unique", parameters: [UNIQUE] },
      },
      "/v1/functions/{fn}/uniques/{unique}/events": {
        get: { ...STREAM, parameters: [FN, UNIQUE, LAST_EVENT] },
      },
      "/v1/grab": {
        get: {
          summary: "Jobs as they come, for as long as the connection is open",
          description:
            "The open answer is the lease: when it closes, what is not done goes to other workers at once. `Gearman-Stream` names it.",
          parameters: [
            query("function", "May be repeated.", { type: "array", items: { type: "string" } }, true),
            query("credit", "Jobs at a time.", { type: "integer", minimum: 1, maximum: 64, default: 1 }),
            query("client", "Name of the worker for administrators.", { type: "string" }),
          ],
          responses: { 200: { description: "Events `job` and `cancel`.", content: EVENTS }, ...COMMON },
        },
        post: {
          summary: "One job, or none",
          description:
            "The lease ends after the time of `Gearman-Lease` without a report: then another worker gets the job.",
          parameters: [
            query("function", "May be repeated.", { type: "array", items: { type: "string" } }, true),
            query("client", "Name of the worker for administrators.", { type: "string" }),
            field("Prefer", "`wait=N`: seconds to wait for a job, 60 at most.", { type: "string" }),
            field("Gearman-Lease", "Seconds.", { type: "integer", minimum: 0, maximum: 3600, default: 30 }),
          ],
          responses: {
            200: {
              description: "A job.",
              content: { ...json(ref("AssignedJob")), "application/octet-stream": { schema: bytes } },
            },
            204: { description: "There is none." },
            ...COMMON,
          },
        },
      },
      "/v1/grab/{stream}": {
        delete: {
          ...REPORT,
          summary: "No more jobs on this stream; it ends with the last one that it brought",
          parameters: [path("stream", "What `Gearman-Stream` of the answer said.")],
        },
      },
      "/v1/echo": {
        post: {
          summary: "The body back: shows that the server answers, and that the token is good",
          requestBody: { content: { "*/*": { schema: bytes } } },
          responses: {
            200: { description: "The body.", content: { "application/octet-stream": { schema: bytes } } },
            ...COMMON,
          },
        },
      },
      "/v1/leases/{lease}": {
        post: {
          ...REPORT,
          summary: "Several reports, one a line; none only renews the lease",
          parameters: [LEASE],
          requestBody: { content: { "application/x-ndjson": { schema: ref("Report") } } },
        },
      },
      "/v1/leases/{lease}/{what}": {
        post: {
          ...REPORT,
          summary:
            "One report, with the body as its bytes; a status is `3/10`, a trace the run's `traceparent`",
          parameters: [
            LEASE,
            {
              ...path("what", "Which report."),
              schema: { enum: ["data", "warning", "status", "trace", "complete", "fail", "exception"] },
            },
          ],
          requestBody: { content: { "*/*": { schema: bytes } } },
        },
      },
      ...viewPaths({
        path: (name) => path(name, "As lists show it."),
        query: (name) => query(name, "See the documentation of lists.", { type: "string" }),
        common: COMMON,
        problem: problem("There is no such thing."),
      }),
      "/v1/tickets": {
        post: {
          summary: "A one-use secret by which a page of the same origin may open a WebSocket within 30 s",
          responses: {
            200: { description: "To be sent as a token.", content: json(ref("Ticket")) },
            ...COMMON,
          },
        },
      },
      "/v1/problems/{name}": {
        get: {
          summary: "What a problem means",
          parameters: [path("name", "Name of a problem.")],
          responses: {
            200: { description: "In a sentence.", content: json({ type: "object" }) },
            404: problem("There is no such problem."),
          },
        },
      },
      "/v1/openapi.json": {
        get: {
          summary: "This document",
          responses: { 200: { description: "OpenAPI 3.1.", content: json({ type: "object" }) } },
        },
      },
    },
    components: { securitySchemes: { bearer: { type: "http", scheme: "bearer" } }, schemas: SCHEMAS },
  };
}

const text: Schema = { type: "string" };
const count: Schema = { type: "integer", minimum: 0 };
const encoding: Schema = { enum: ["utf8", "base64"] };

const SCHEMAS: Readonly<Record<string, Schema>> = {
  Problem: {
    type: "object",
    description: "RFC 9457.",
    required: ["type", "title", "status", "detail", "retryable"],
    properties: {
      type: { enum: Object.keys(PROBLEMS).map((name) => `/v1/problems/${name}`) },
      title: text,
      status: { type: "integer" },
      detail: text,
      retryable: { type: "boolean" },
      handle: text,
      unique: text,
      exception: text,
      encoding: { const: "base64" },
    },
    additionalProperties: false,
  },
  Job: {
    type: "object",
    required: [
      "handle",
      "function",
      "unique",
      "state",
      "known",
      "running",
      "numerator",
      "denominator",
      "waiting",
      "attempts",
    ],
    properties: {
      handle: text,
      function: text,
      unique: text,
      state: { enum: ["queued", "delayed", "running", "done", "failed", "dead"] },
      known: { type: "boolean", description: "Whether it lives." },
      running: { type: "boolean" },
      numerator: { type: "number" },
      denominator: { type: "number" },
      waiting: { ...count, description: "Who waits for it." },
      attempts: count,
      ended: { type: "string", format: "date-time" },
    },
    additionalProperties: false,
  },
  Accepted: {
    type: "object",
    required: ["handle", "unique", "coalesced"],
    properties: { handle: text, unique: text, coalesced: { type: "boolean" } },
    additionalProperties: false,
  },
  Ticket: {
    type: "object",
    required: ["ticket", "expiresInSeconds"],
    properties: { ticket: text, expiresInSeconds: count },
    additionalProperties: false,
  },
  AssignedJob: {
    type: "object",
    required: ["handle", "function", "unique", "lease", "attempt", "data", "encoding"],
    properties: {
      handle: text,
      function: text,
      unique: text,
      lease: text,
      attempt: text,
      reducer: text,
      traceparent: { ...text, description: "That of the submission that made the job." },
      tracestate: { ...text, description: "What came with that." },
      links: { ...text, description: "Those of submissions that joined it, separated by commas." },
      data: text,
      encoding,
    },
    additionalProperties: false,
  },
  Event: {
    type: "object",
    required: ["event"],
    properties: {
      event: {
        enum: [
          "created",
          "data",
          "warning",
          "status",
          "restarted",
          "trace",
          "complete",
          "fail",
          "exception",
          "detached",
          "job",
          "cancel",
        ],
      },
      id: text,
    },
  },
  Report: {
    type: "object",
    required: ["report"],
    properties: {
      report: { enum: ["data", "warning", "status", "trace", "complete", "fail", "exception"] },
      data: text,
      encoding,
      numerator: count,
      denominator: count,
    },
  },
};
