import type * as z from "zod";
import type { SemaphoreUse } from "../core/index.ts";
import type { FileCheck } from "./check.ts";
import { controlsOf, finalAttributesOf } from "./inheritance-controls.ts";
import type { ConfigItem } from "./items.ts";
import type {
  IncludedFile,
  JobAttributes,
  JobVariant,
  NodesetDefinition,
  Origin,
  RequiredProject,
  RoleSource,
  Step,
  Variables,
} from "./model.ts";
import type { Regex } from "./regex.ts";
import { jobFields, jobSchema, projectJobSchema } from "./schema.ts";
import { UNBUILT_JOB } from "./unbuilt.ts";

type Path = readonly PropertyKey[];
type Written = z.output<typeof projectJobSchema>;

/** What a pragma says about all items of its file. */
export interface FilePragma {
  readonly impliedBranches: readonly Regex[] | undefined;
  readonly impliesBranches: boolean | undefined;
}

export function parseJob(
  check: FileCheck,
  item: ConfigItem,
  pragma: FilePragma,
  origin: Origin,
): JobVariant | undefined {
  const written = check.shape(item, [], item.value, jobSchema, UNBUILT_JOB);
  return written === undefined
    ? undefined
    : variant(check, item, [], written.name, written, pragma, origin, false);
}

/** A job as a project's pipeline has it: its name, or a map from its name to attributes. */
export function parseProjectJob(
  check: FileCheck,
  item: ConfigItem,
  path: Path,
  name: string,
  value: unknown,
  pragma: FilePragma,
  origin: Origin,
): JobVariant | undefined {
  const written = check.shape(item, path, value ?? {}, projectJobSchema, UNBUILT_JOB);
  return written === undefined ? undefined : variant(check, item, path, name, written, pragma, origin, true);
}

const REFERENCES = [
  "parent",
  "nodeset",
  "required-projects",
  "allowed-projects",
  "dependencies",
  "roles",
  "include-vars",
  "secrets",
  "timeout",
] as const;

function variant(
  check: FileCheck,
  item: ConfigItem,
  path: Path,
  name: string,
  written: Written,
  pragma: FilePragma,
  origin: Origin,
  isOfProject: boolean,
): JobVariant | undefined {
  const before = check.problems.length;
  const add = (key: string, message: string): void => check.add(item, [...path, key], message);
  const regexes = (key: "branches" | "files" | "irrelevant-files"): readonly Regex[] | undefined => {
    const list = written[key];
    return list === undefined ? undefined : check.regexes(item, [...path, key], list);
  };
  const branches = regexes("branches");
  if (written.intermediate === true && written.abstract !== true) {
    add("intermediate", "intermediate: such a job must be abstract, too");
  }
  if (written.semaphore !== undefined && written.semaphores !== undefined) {
    add("semaphore", "semaphore: is the older name of semaphores; a job has one of both");
  }
  if (written.command !== undefined && written.run !== undefined) {
    add("command", "command: is a run of one step; a job has one of both");
  }
  // Only whether they can be compiled: they are for the executor.
  check.regexes(item, [...path, "failure-output"], written["failure-output"] ?? []);
  const names = (written.secrets ?? []).map((one) => (typeof one === "string" ? one : one.name));
  const twice = names.find((one, at) => names.indexOf(one) !== at);
  if (twice !== undefined) add("secrets", `secrets: two of them have the name ${twice}`);
  const nodeset = written.nodeset;
  const steps = (key: "pre-run" | "run" | "post-run"): readonly Step[] | undefined => {
    const list = written[key];
    return list?.flatMap((one, index) => {
      const step = stepOf(one, (message) => check.add(item, [...path, key, index], `${key}: ${message}`));
      return step === undefined ? [] : [step];
    });
  };
  const roles = written.roles?.flatMap(({ zuul, name: called }): RoleSource[] => {
    if (zuul !== undefined) return [{ project: zuul, name: called ?? lastPart(zuul), implicit: false }];
    add("roles", "roles: an element names a project, as `zuul:`; galaxy is not built yet");
    return [];
  });
  const attributes = defined<JobAttributes>({
    description: written.description,
    abstract: written.abstract,
    intermediate: written.intermediate,
    final: written.final,
    protected: written.protected,
    voting: written.voting,
    files: regexes("files"),
    irrelevantFiles: regexes("irrelevant-files"),
    matchOnConfigUpdates: written["match-on-config-updates"],
    tags: written.tags,
    provides: written.provides,
    requires: written.requires,
    allowedProjects: written["allowed-projects"],
    postReview: written["post-review"],
    dependencies: written.dependencies?.map((one) =>
      typeof one === "string" ? { name: one, soft: false } : { name: one.name, soft: one.soft ?? false },
    ),
    holdFollowingChanges: written["hold-following-changes"],
    semaphores: semaphoresOf(written),
    nodeset: typeof nodeset === "object" ? nodesetOf(nodeset, (message) => add("nodeset", message)) : nodeset,
    timeout: written.timeout,
    preTimeout: written["pre-timeout"],
    postTimeout: written["post-timeout"],
    attempts: written.attempts,
    workspaceScheme: written["workspace-scheme"],
    workspaceCheckout: written["workspace-checkout"],
    preRun: steps("pre-run"),
    run: written.command === undefined ? steps("run") : [{ argv: written.command }],
    postRun: steps("post-run"),
    requiredProjects: written["required-projects"]?.map(
      (one): RequiredProject =>
        typeof one === "string"
          ? { name: one, overrideCheckout: null }
          : { name: one.name, overrideCheckout: one["override-checkout"] ?? null },
    ),
    overrideCheckout: written["override-checkout"],
    vars: written.vars as Variables | undefined,
    extraVars: written["extra-vars"] as Variables | undefined,
    includeVars: written["include-vars"]?.flatMap((one) =>
      included(one, (message) => add("include-vars", message)),
    ),
    hostVars: written["host-vars"] as Readonly<Record<string, Variables>> | undefined,
    groupVars: written["group-vars"] as Readonly<Record<string, Variables>> | undefined,
    roles,
    secrets: written.secrets?.map((one) =>
      typeof one === "string"
        ? { name: one, secret: one, passToParent: false }
        : { name: one.name, secret: one.secret, passToParent: one["pass-to-parent"] ?? false },
    ),
    successMessage: written["success-message"],
    failureMessage: written["failure-message"],
    failureOutput: written["failure-output"],
    network: written.network,
    deduplicate: written.deduplicate,
    reuse: written.reuse,
    inputs: written.inputs,
    maxAge: written["max-age"],
  });
  const { preRun = [], postRun = [], secrets = [] } = attributes;
  const isOfCommands =
    ![...preRun, ...postRun].some((step) => "path" in step) && written.command !== undefined;
  if (isOfCommands && secrets.some(({ passToParent }) => !passToParent)) {
    add(
      "secrets",
      "secrets: a command gets none, since it runs what the change has; name a playbook or an executable",
    );
  }
  const controls = controlsOf(check, item, path, Object.keys(written));
  const known = Object.keys(jobFields);
  const finalAttributes = finalAttributesOf(check, item, path, written["attribute-control"], known);
  // It was told; half of a job must not run as the whole of it.
  if (check.problems.length > before) return undefined;
  const lines: Record<string, number> = {};
  for (const key of REFERENCES) if (written[key] !== undefined) lines[key] = item.lineOf([...path, key]);
  return {
    name,
    origin,
    isOfProject,
    parent: written.parent,
    attributes,
    controls,
    finalAttributes,
    branches,
    ...pragma,
    lines,
  };
}

/** How a repository is called by those who do not say where it is. */
export function lastPart(project: string): string {
  return project.slice(project.lastIndexOf("/") + 1);
}

function semaphoresOf({ semaphore, semaphores }: Written): readonly SemaphoreUse[] | undefined {
  const uses = semaphores ?? (semaphore === undefined ? undefined : [semaphore]);
  return uses?.map((use) =>
    typeof use === "string"
      ? { name: use, resourcesFirst: false }
      : { name: use.name, resourcesFirst: use["resources-first"] ?? false },
  );
}

function included(
  written: NonNullable<Written["include-vars"]>[number],
  tell: (message: string) => void,
): readonly IncludedFile[] {
  const file = typeof written === "string" ? { name: written } : written;
  const { name: path, project, required = true, "use-ref": useRef = true } = file;
  const isOfChange = file["zuul-project"] === true;
  if (isOfChange && project !== undefined) tell("include-vars: has project or zuul-project, not both");
  else if (isPathWithin(path)) return [{ path, project: isOfChange ? null : project, required, useRef }];
  else tell(`include-vars: ${JSON.stringify(path)} is no path within the repository`);
  return [];
}

function isPathWithin(path: string): boolean {
  return path !== "" && !path.startsWith("/") && !path.includes("\0") && !path.split("/").includes("..");
}

function defined<T>(values: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as T;
}

function stepOf(
  written: NonNullable<Written["run"]>[number],
  tell: (message: string) => void,
): Step | undefined {
  if (typeof written !== "string") {
    if (written.semaphores !== undefined) tell("semaphores is not built yet");
    if (written.cleanup === true) tell("cleanup is not built yet");
    if ((written.name === undefined) === (written.command === undefined)) {
      tell("a step has either a name, which is the path of a playbook or an executable, or a command");
      return undefined;
    }
    if (written.command !== undefined) return { argv: written.command };
  }
  const path = typeof written === "string" ? written : written.name!;
  if (isPathWithin(path)) return { path };
  tell(`${JSON.stringify(path)} is no path within the repository`);
  return undefined;
}

export function nodesetOf(
  written: Exclude<NonNullable<Written["nodeset"]>, string>,
  tell: (message: string) => void,
): NodesetDefinition {
  if (written.alternatives !== undefined) {
    if (written.nodes !== undefined || written.groups !== undefined)
      tell("nodeset: has alternatives, or nodes and groups, not both");
    const alternatives = written.alternatives.map((one) =>
      typeof one === "string" ? one : nodesetOf(one, tell),
    );
    return { nodes: [], groups: [], alternatives };
  }
  const nodes = (written.nodes ?? []).map(({ name, label }) => ({ names: name, label }));
  const groups = written.groups ?? [];
  const seen = new Set<string>();
  for (const name of nodes.flatMap(({ names }) => names)) {
    if (seen.has(name)) tell(`nodeset: there are two nodes ${name}`);
    seen.add(name);
  }
  const named = new Set<string>();
  for (const { name, nodes: members } of groups) {
    if (named.has(name)) tell(`nodeset: there are two groups ${name}`);
    named.add(name);
    for (const member of members) {
      if (!seen.has(member)) tell(`nodeset: group ${name} names the node ${member}, which there is not`);
    }
  }
  return { nodes, groups };
}
