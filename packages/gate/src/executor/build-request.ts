import { z } from "zod";
import type { RunResult } from "../core/index.ts";

/* What an executor is asked for and what it answers: plain JSON, so that both travel in a job's workload and result. */

export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };
export type JsonObject = { [key: string]: JsonValue };

/** Longest request, as JSON. A project of 10,000 branches is about 1 MB. */
export const MAX_REQUEST_BYTES = 16 * 1024 * 1024;
/** Zuul's: 3 h at most, as its `max-job-timeout` has it, where the request says nothing. */
export const DEFAULT_TIMEOUT_MS = 10_800_000;

const id = z.string().regex(/^[0-9a-f]{40}$|^[0-9a-f]{64}$/, "is no full object id");
const refName = z.string().max(1024).refine(isRefName, "is no name of a ref");
const project = z.string().max(255).refine(isProjectName, "is no name of a project");
const milliseconds = z.number().int().positive().max(2_147_483_647);

const variables = z.record(z.string(), z.json());

const role = z.strictObject({
  /** Of a repository that is one role: by which playbooks call it. */
  name: project,
  project,
  commit: id,
  /** A repository without roles is passed over. */
  implicit: z.boolean().default(false),
});

const entry = z.union([
  /** Runs in the folder of the change's project. */
  z.strictObject({ argv: z.array(z.string()).min(1), level: z.number().int().min(0).optional() }),
  /** An executable or a playbook (`.yaml`, `.yml`) as that project has it at that commit, whatever the workspace has. */
  z.strictObject({
    project,
    commit: id,
    path: z.string().refine(isTreePath, "is no path in a repository"),
    level: z.number().int().min(0).optional(),
    /** Of a config-project: a playbook has a home and temporary files that no other entry can write. */
    trusted: z.boolean().default(false),
    /** What a playbook finds roles in, the nearest first. */
    roles: z.array(role).default([]),
    /** Variables for it alone, sealed for this build. */
    secrets: z.string().optional(),
  }),
]);

const repository = z.strictObject({
  project,
  /** The bare repository. */
  repository: z.string().startsWith("/"),
  /** The tip of each branch, the speculative ones included. */
  branches: z.record(refName, id),
  /** A branch, a tag, or a full object id. */
  checkout: z.string().max(1024),
  /** Where branches were before the change under test: `origin/X` of the workspace. Others are at their tips. */
  before: z.record(refName, id).default({}),
  required: z.boolean().default(false),
  /** `false`: executables are taken from it, and the workspace does not have it. */
  mounted: z.boolean().default(true),
  /**
   * `false`: the workspace has what is checked out as one commit without a parent, whose id is a function of its tree, and
   * no tag and no other branch.
   */
  history: z.boolean().default(true),
});

/** What playbooks are told, besides `zuul`. */
const inventory = z.strictObject({
  /** By jobs before this one. Never a template. */
  returned: variables.default({}),
  vars: variables.default({}),
  extraVars: variables.default({}),
  /** Names of variables that others than config-projects have set: what a trusted playbook has of them is no template. */
  untrusted: z.array(z.string()).default([]),
  nodes: z.array(z.strictObject({ name: z.string().min(1), label: z.string() })).default([]),
  groups: z.array(z.strictObject({ name: z.string().min(1), nodes: z.array(z.string()) })).default([]),
  hostVars: z.record(z.string(), variables).default({}),
  groupVars: z.record(z.string(), variables).default({}),
});

export const buildRequestSchema = z.strictObject({
  /** Names the build to what runs in it. */
  build: z.string().min(1).max(255),
  job: z.string().min(1).max(255),
  attempt: z.number().int().min(1).default(1),
  attempts: z.number().int().min(1).default(3),
  /** Its result may be that of other builds, too: it is not told which build it is for, nor which attempt. */
  shared: z.boolean().default(false),
  preRun: z.array(entry).default([]),
  run: z.array(entry).min(1),
  postRun: z.array(entry).default([]),
  /** For `preRun` and `run` together. */
  timeoutMs: milliseconds.nullable().default(null),
  /** For each of `preRun`, within that. */
  preTimeoutMs: milliseconds.nullable().default(null),
  /** For each of `postRun`. */
  postTimeoutMs: milliseconds.nullable().default(null),
  vars: z.record(z.string(), z.json()).default({}),
  inventory: inventory.prefault({}),
  /** What jobs before it returned for its files alone, sealed. */
  returnedSecrets: z.array(z.string()).default([]),
  network: z.boolean().default(false),
  /** A line of `run` that one of them matches makes the build fail, at once. */
  failureOutput: z.array(z.string()).default([]),
  workspaceScheme: z.enum(["golang", "flat", "unique"]).default("golang"),
  /** `false`: repositories have no files, only their history. */
  checksOut: z.boolean().default(true),
  /** The change's project: one of `repositories`. */
  project,
  repositories: z.array(repository).min(1),
  /** The variables `zuul.*` that the scheduler knows. The executor adds what it alone knows. */
  zuul: z.record(z.string(), z.json()).default({}),
});

/** As it is written; what has a default may be left out. */
export type BuildRequest = z.input<typeof buildRequestSchema>;
/** As it is carried out. */
export type CheckedRequest = z.output<typeof buildRequestSchema>;
/** `level`: 0 is the base job, and each child is one more. A `postRun` entry runs when the `preRun` of its level was begun. */
export type Entry = CheckedRequest["run"][number];
/** An entry that is a file of a project. */
export type FileEntry = Extract<Entry, { path: string }>;

export type RepositoryState = CheckedRequest["repositories"][number];

/** Whether an entry is run by Ansible; every other path is an executable. */
export function isPlaybook(entry: Entry): entry is FileEntry {
  return "path" in entry && /\.ya?ml$/.test(entry.path);
}

export function entriesOf({ preRun, run, postRun }: CheckedRequest): readonly Entry[] {
  return [...preRun, ...run, ...postRun];
}

export type Phase = "pre-run" | "run" | "post-run";

/** One entry that was run. */
export interface Step {
  readonly phase: Phase;
  /** Within its phase, from 0. */
  readonly index: number;
  readonly command: string;
  readonly end: StepEnd;
  readonly durationMs: number;
}

export type StepEnd =
  | { readonly kind: "exited"; readonly code: number }
  /** By the build itself, or by the kernel. */
  | { readonly kind: "signalled"; readonly signal: string }
  | { readonly kind: "timeout" }
  | { readonly kind: "cancelled" }
  | { readonly kind: "output limit" }
  | { readonly kind: "disk full" }
  /** A playbook could not reach a node. */
  | { readonly kind: "unreachable"; readonly host: string }
  /** It could not be started, or what it returned cannot be read. */
  | { readonly kind: "unusable"; readonly detail: string };

/** A file that the build left in `$DROVER_ARTIFACTS`. */
export interface Artifact {
  /** Path below the folder of artifacts. */
  readonly name: string;
  readonly bytes: number;
  /** Of its content, in hexadecimal digits. Those of before there was reuse have none. */
  readonly sha256?: string;
}

/** What the build wrote to `$DROVER_RESULT`. */
export interface ReturnedData {
  readonly logUrl: string | null;
  readonly artifacts: readonly JsonObject[];
  /** `null`: all of them. */
  readonly childJobs: readonly string[] | null;
  readonly warnings: readonly string[];
  /** What is said on the change beside the report; `null`: nothing. */
  readonly comment: string | null;
  readonly fileComments: { readonly [path: string]: readonly JsonObject[] };
  /** After its run it waits for the jobs that depend on it. */
  readonly pause: boolean;
  /** `false`: it asked not to be run again. */
  readonly retry: boolean;
  /** For jobs that depend on this one. */
  readonly variables: JsonObject;
  /** For the files of those, and nobody else's eyes. Absent: nothing. */
  readonly sealed?: string;
}

export interface BuildOutcome {
  /** Names the log and the artifacts. */
  readonly execution: string;
  readonly result: RunResult;
  /** In a sentence, what went wrong; `null` when nothing did. */
  readonly detail: string | null;
  readonly startedMs: number;
  readonly endedMs: number;
  readonly steps: readonly Step[];
  readonly data: ReturnedData;
  readonly artifacts: readonly Artifact[];
  readonly outputBytes: number;
  /** Its workspace is kept: until when, and by which executor. Absent: it is not. */
  readonly held?: { readonly untilMs: number; readonly executor: string };
}

export type ExecutorErrorCode =
  | "BUILD_REQUEST_INVALID"
  | "BUILD_CANCELLED"
  | "EXECUTION_REFUSED"
  | "EXECUTOR_CLOSED"
  | "EXECUTOR_UNUSABLE";

/** The executor did not run a build to its end. */
export class ExecutorError extends Error {
  override readonly name = "ExecutorError";
  readonly code: ExecutorErrorCode;

  constructor(code: ExecutorErrorCode, detail: string) {
    super(`${code}: ${detail}`);
    this.code = code;
  }
}

/** @throws ExecutorError `BUILD_REQUEST_INVALID` */
export function checkRequest(value: unknown): CheckedRequest {
  const { success, data, error } = buildRequestSchema.safeParse(value);
  if (!success) {
    const [first] = error.issues;
    throw new ExecutorError("BUILD_REQUEST_INVALID", `${first?.path.join(".") ?? ""}: ${first?.message}`);
  }
  const names = new Set(data.repositories.map((one) => one.project));
  if (names.size < data.repositories.length)
    throw new ExecutorError("BUILD_REQUEST_INVALID", "repositories: a project is there twice");
  if (data.repositories.some((one) => one.project === data.project && !one.mounted))
    throw new ExecutorError("BUILD_REQUEST_INVALID", `repositories: ${data.project} has to be mounted`);
  for (const needed of [
    data.project,
    ...entriesOf(data).flatMap((one) =>
      "project" in one ? [one.project, ...one.roles.map((role) => role.project)] : [],
    ),
  ]) {
    if (!names.has(needed))
      throw new ExecutorError("BUILD_REQUEST_INVALID", `repositories: ${needed} is missing`);
  }
  return data;
}

/** What git allows as the name of a branch. */
function isRefName(name: string): boolean {
  return (
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused.
    !/[\x00-\x20\x7f~^:?*[\\]|\.\.|@\{|\/\/|^[-/]|[/.]$|(?:^|\/)\.|\.lock(?:\/|$)/.test(name) && name !== "@"
  );
}

function isProjectName(name: string): boolean {
  return /^[^/]+(?:\/[^/]+)*$/.test(name) && isTreePath(name);
}

/** Stays within the folder that it is looked up in. */
function isTreePath(path: string): boolean {
  return (
    path !== "" &&
    !path.includes("\0") &&
    path.split("/").every((part) => part !== "" && part !== "." && part !== ".." && part !== ".git")
  );
}
