import * as z from "zod";
import { CONFIG_LIMITS } from "./limits.ts";

/* The shapes of items. What values mean, and whether they name what exists, is looked at afterwards. */

/** One, or a list of them. Nothing is an empty list. */
function listOf<T extends z.ZodType>(element: T) {
  return z.preprocess(
    (value) => (Array.isArray(value) ? value : value === null ? [] : [value]),
    z.array(element),
  );
}

export const nameSchema = z
  .string()
  .min(1, "a name is missing")
  .max(CONFIG_LIMITS.maxNameLength, `a name has at most ${CONFIG_LIMITS.maxNameLength} characters`)
  .refine((name) => !hasControl(name), "a name has no control characters");

function hasControl(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 32 || code === 127) return true;
  }
  return false;
}

const regexSchema = z.union([
  z.string(),
  z.strictObject({ regex: z.string(), negate: z.boolean().optional() }),
]);
const regexList = listOf(regexSchema);

export const argvSchema = z
  .array(z.string({ error: "each word of a command is text; quote it" }), {
    error: 'a command is a list of words, such as ["make", "test"]',
  })
  .min(1, "a command has at least one word")
  .refine((argv) => argv[0] !== "", "a command begins with a program")
  .refine((argv) => argv.every((word) => !word.includes("\0")), "a word of a command has no zero byte");

const stepSchema = z.union([
  z.string(),
  z.strictObject({
    name: z.string().optional(),
    command: argvSchema.optional(),
    semaphores: z.unknown().optional(),
    cleanup: z.boolean().optional(),
  }),
]);

/** Variables of a job, by names that Ansible takes. */
export const variablesSchema = z.record(
  z
    .string()
    .regex(/^[a-zA-Z][a-zA-Z0-9_]*$/, "a variable's name is letters, digits and underscores")
    .refine(
      (name) => !["zuul", "nodepool", "unsafe_vars"].includes(name),
      "this name is taken by the gate itself",
    ),
  z.unknown(),
);

/** Playbooks of others have these in templates, which what stands in a name must not become a part of. */
const hostNameSchema = nameSchema.regex(
  /^[A-Za-z0-9_][A-Za-z0-9._-]*$/,
  "a node's or group's name is letters, digits, '.', '_' and '-', and begins with none of the signs but '_'",
);

const nodeSchema = z.strictObject({ name: listOf(hostNameSchema), label: nameSchema });
const nodeFields = {
  nodes: listOf(nodeSchema).optional(),
  groups: listOf(z.strictObject({ name: hostNameSchema, nodes: listOf(nameSchema) })).optional(),
};
const nodesetFields = {
  ...nodeFields,
  alternatives: z
    .array(z.union([nameSchema, z.strictObject(nodeFields)]))
    .min(1, "there is at least one alternative")
    .optional(),
};

const includedFileSchema = z.strictObject({
  name: z.string(),
  project: nameSchema.optional(),
  "zuul-project": z.boolean().optional(),
  required: z.boolean().optional(),
  "use-ref": z.boolean().optional(),
});

const seconds = z.int().min(1, "at least one second").max(1_000_000_000);

/** What builds with `reuse` may depend on beside what their jobs and sources say. */
export const BUILD_INPUTS = ["branch", "change", "history", "items", "pipeline"] as const;
export type BuildInput = (typeof BUILD_INPUTS)[number];

const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };
const MAX_AGE = 'a time is a number of seconds, or text such as "12h" or "7d"';

/** Seconds, or a number with a unit. */
const ageSchema = z
  .union([z.int(), z.string().regex(/^\d{1,9}[smhd]$/, MAX_AGE)], { error: MAX_AGE })
  .transform((age) =>
    typeof age === "number" ? age : Number(age.slice(0, -1)) * UNIT_SECONDS[age.slice(-1)]!,
  )
  .pipe(seconds);

const semaphoreUseSchema = z.union([
  nameSchema,
  z.strictObject({ name: nameSchema, "resources-first": z.boolean().optional() }),
]);

const secretUseName = nameSchema.refine(
  (name) => !["zuul", "nodepool"].includes(name),
  "this name is taken by the gate itself",
);

export const jobFields = {
  description: z.string().optional(),
  "variant-description": z.string().optional(),
  parent: nameSchema.nullable().optional(),
  abstract: z.boolean().optional(),
  intermediate: z.boolean().optional(),
  final: z.boolean().optional(),
  protected: z.boolean().optional(),
  branches: regexList.optional(),
  files: regexList.optional(),
  "irrelevant-files": regexList.optional(),
  "match-on-config-updates": z.boolean().optional(),
  "attribute-control": z.record(nameSchema, z.strictObject({ final: z.literal(true) })).optional(),
  voting: z.boolean().optional(),
  tags: listOf(z.string()).optional(),
  provides: listOf(nameSchema).optional(),
  requires: listOf(nameSchema).optional(),
  "allowed-projects": listOf(nameSchema).optional(),
  "post-review": z
    .literal(true, { error: "once set, it cannot be unset: true is its only value" })
    .optional(),
  dependencies: listOf(
    z.union([nameSchema, z.strictObject({ name: nameSchema, soft: z.boolean().optional() })]),
  ).optional(),
  "hold-following-changes": z.boolean().optional(),
  semaphores: listOf(semaphoreUseSchema).optional(),
  /** Zuul's older name for one of them. */
  semaphore: semaphoreUseSchema.optional(),
  nodeset: z.union([nameSchema, z.strictObject(nodesetFields)]).optional(),
  timeout: seconds.optional(),
  "pre-timeout": seconds.optional(),
  "post-timeout": seconds.optional(),
  attempts: z.int().min(1).max(100).optional(),
  "workspace-scheme": z.enum(["golang", "flat", "unique"]).optional(),
  "workspace-checkout": z.boolean().optional(),
  "pre-run": listOf(stepSchema).optional(),
  run: listOf(stepSchema).optional(),
  "post-run": listOf(stepSchema).optional(),
  command: argvSchema.optional(),
  "required-projects": listOf(
    z.union([nameSchema, z.strictObject({ name: nameSchema, "override-checkout": z.string().optional() })]),
  ).optional(),
  "override-checkout": z.string().min(1).optional(),
  vars: variablesSchema.optional(),
  "extra-vars": variablesSchema.optional(),
  "include-vars": listOf(z.union([z.string(), includedFileSchema])).optional(),
  "host-vars": z.record(nameSchema, variablesSchema).optional(),
  "group-vars": z.record(nameSchema, variablesSchema).optional(),
  secrets: listOf(
    z.union([
      secretUseName,
      z.strictObject({
        name: secretUseName,
        secret: nameSchema,
        "pass-to-parent": z.boolean().optional(),
      }),
    ]),
  ).optional(),
  roles: listOf(
    z.strictObject({
      zuul: nameSchema.optional(),
      name: nameSchema.regex(/^[^/]+$/, "the name of a role has no slash").optional(),
      galaxy: z.unknown().optional(),
    }),
  ).optional(),
  "success-message": z.string().optional(),
  "failure-message": z.string().optional(),
  "failure-output": listOf(z.string()).optional(),
  network: z.boolean().optional(),
  deduplicate: z.union([z.boolean(), z.literal("auto")]).optional(),
  reuse: z.boolean().optional(),
  inputs: listOf(
    z.enum(BUILD_INPUTS, { error: `an input is one of: ${BUILD_INPUTS.join(", ")}` }),
  ).optional(),
  "max-age": ageSchema.optional(),
};

export const jobSchema = z.strictObject({ name: nameSchema, ...jobFields });
/** As a project's pipeline has it, where its name is the key. */
export const projectJobSchema = z.strictObject(jobFields);

export const projectPipelineSchema = z.strictObject({
  "fail-fast": z.boolean().optional(),
  jobs: z.array(z.union([nameSchema, z.record(nameSchema, z.unknown())])).optional(),
});

export const MERGE_MODES = [
  "merge",
  "merge-resolve",
  "merge-recursive",
  "merge-ort",
  "cherry-pick",
  "squash-merge",
  "rebase",
] as const;

/** Of a project and a template; every other key is a pipeline. */
export const projectFields = {
  name: nameSchema.optional(),
  description: z.string().optional(),
  queue: nameSchema.optional(),
  vars: variablesSchema.optional(),
  branches: regexList.optional(),
  templates: listOf(nameSchema).optional(),
  "merge-mode": z.enum(MERGE_MODES).optional(),
  "default-branch": z.string().min(1).optional(),
};
export const projectSchema = z.looseObject(projectFields);
export const templateFields = {
  name: nameSchema,
  description: z.string().optional(),
  queue: nameSchema.optional(),
  vars: variablesSchema.optional(),
};
export const templateSchema = z.looseObject(templateFields);

export const queueSchema = z.strictObject({
  name: nameSchema,
  "per-branch": z.boolean().optional(),
  "allow-circular-dependencies": z.boolean().optional(),
  "dependencies-by-topic": z.boolean().optional(),
});

export const secretSchema = z.strictObject({
  name: nameSchema,
  data: z.record(z.string().min(1), z.unknown()),
});

export const nodesetSchema = z.strictObject({ name: nameSchema, ...nodesetFields });

export const semaphoreSchema = z.strictObject({
  name: nameSchema,
  max: z.int().min(1, "a semaphore has room for one at least").max(1_000_000).optional(),
});

export const pragmaSchema = z.strictObject({
  "implied-branch-matchers": z.boolean().optional(),
  "implied-branches": regexList.optional(),
});

export const EVENTS = ["change-created", "approved", "comment", "change-merged", "ref-updated"] as const;

export const triggerSchema = listOf(
  z.strictObject({
    event: listOf(z.enum(EVENTS)),
    branch: regexList.optional(),
    comment: regexList.optional(),
    ref: regexList.optional(),
    "ignore-deletes": z.boolean().optional(),
  }),
);

export const timerSchema = listOf(z.strictObject({ time: z.string(), dereference: z.boolean().optional() }));

export const INNER_EVENTS = ["parent-change-enqueued", "project-change-merged"] as const;

export const innerTriggerSchema = listOf(
  z.strictObject({ event: listOf(z.enum(INNER_EVENTS)), pipeline: listOf(nameSchema).optional() }),
);

export const requirementSchema = z.strictObject({
  open: z.boolean().optional(),
  "current-revision": z.boolean().optional(),
  approved: z.boolean().optional(),
});

export const reporterSchema = listOf(
  z.strictObject({
    vote: z.union([z.literal(-1), z.literal(0), z.literal(1)], { error: "a vote is -1, 0 or 1" }).optional(),
    comment: z.boolean().optional(),
    merge: z.boolean().optional(),
  }),
);

/** What a reporter tells a connection; `to`, `from` and `subject` are for mails. */
export const connectionReporterSchema = listOf(
  z.strictObject({
    to: z.string().min(1).optional(),
    from: z.string().min(1).optional(),
    subject: z.string().min(1).max(500, "a subject has at most 500 characters").optional(),
  }),
);

export const REPORTER_KINDS = [
  "enqueue",
  "start",
  "success",
  "failure",
  "merge-conflict",
  "config-error",
  "no-jobs",
  "dequeue",
] as const;

const drivers = z.record(z.string(), z.unknown()).nullable();
const windowType = z.enum(["linear", "exponential"]);
const size = z.int().min(1).max(1_000_000);

export const pipelineSchema = z.strictObject({
  name: nameSchema,
  description: z.string().optional(),
  manager: z.enum(["dependent", "independent", "serial", "supercedent"]),
  precedence: z.enum(["high", "normal", "low"]).optional(),
  "post-review": z.boolean().optional(),
  supercedes: listOf(nameSchema).optional(),
  "dequeue-on-new-patchset": z.boolean().optional(),
  "ignore-dependencies": z.boolean().optional(),
  window: z.int().min(0).max(1_000_000).optional(),
  "window-floor": size.optional(),
  "window-ceiling": size.nullable().optional(),
  "window-increase-type": windowType.optional(),
  "window-increase-factor": size.optional(),
  "window-decrease-type": windowType.optional(),
  "window-decrease-factor": size.optional(),
  trigger: drivers.optional(),
  require: drivers.optional(),
  reject: drivers.optional(),
  enqueue: drivers.optional(),
  start: drivers.optional(),
  success: drivers.optional(),
  failure: drivers.optional(),
  "merge-conflict": drivers.optional(),
  "config-error": drivers.optional(),
  "no-jobs": drivers.optional(),
  dequeue: drivers.optional(),
  disabled: drivers.optional(),
  "disable-after-consecutive-failures": z.int().min(1).max(1_000_000).optional(),
  "enqueue-message": z.string().optional(),
  "start-message": z.string().optional(),
  "success-message": z.string().optional(),
  "failure-message": z.string().optional(),
  "merge-conflict-message": z.string().optional(),
  "config-error-message": z.string().optional(),
  "no-jobs-message": z.string().optional(),
  "dequeue-message": z.string().optional(),
  "footer-message": z.string().optional(),
});

const classes = listOf(
  z.enum(["pipeline", "job", "semaphore", "project", "secret", "project-template", "nodeset", "queue"]),
);

export const tenantProjectFields = {
  include: classes.optional(),
  exclude: classes.optional(),
  shadow: listOf(nameSchema).optional(),
  "extra-config-paths": listOf(z.string().min(1)).optional(),
  "load-branch": z.string().min(1).optional(),
  "include-branches": listOf(z.string()).optional(),
  "exclude-branches": listOf(z.string()).optional(),
  "implied-branch-matchers": z.boolean().optional(),
  "always-dynamic-branches": listOf(z.string()).optional(),
};
export const configProjectSchema = z.strictObject(tenantProjectFields);
export const untrustedProjectSchema = z.strictObject({
  ...tenantProjectFields,
  "configure-projects": listOf(z.string()).optional(),
});
export const projectGroupSchema = z.strictObject({
  include: classes.optional(),
  exclude: classes.optional(),
  projects: listOf(z.unknown()),
});
export const sourceSchema = z.strictObject({
  "config-projects": listOf(z.unknown()).optional(),
  "untrusted-projects": listOf(z.unknown()).optional(),
});
export const tenantSchema = z.strictObject({
  name: nameSchema,
  source: z.record(z.string(), z.unknown()).optional(),
  "default-parent": nameSchema.optional(),
  "max-dependencies": z.int().min(-1).max(1_000_000).optional(),
  "max-nodes-per-job": z.int().min(-1).max(1_000_000).optional(),
  "max-job-timeout": z.int().min(-1).max(1_000_000_000).optional(),
  "max-changes-per-pipeline": z.int().min(1).max(1_000_000).optional(),
  "allowed-triggers": listOf(z.string()).optional(),
  "allowed-reporters": listOf(z.string()).optional(),
  "allowed-labels": regexList.optional(),
  "disallowed-labels": regexList.optional(),
  "self-approval": z.boolean().optional(),
  "keep-approvals-on-trivial-rebase": z.boolean().optional(),
});
