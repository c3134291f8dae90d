import { FileCheck } from "./check.ts";
import { type ConfigItem, capped, isObject, readItems } from "./items.ts";
import type {
  JobVariant,
  NamedNodeset,
  Origin,
  ParsedFile,
  PipelineDefinition,
  ProjectPipeline,
  ProjectStanza,
  QueueDefinition,
  SecretDefinition,
  SemaphoreDefinition,
  Variables,
} from "./model.ts";
import { suggestion } from "./nearest.ts";
import { type FilePragma, nodesetOf, parseJob, parseProjectJob } from "./parse-job.ts";
import { parsePipeline } from "./parse-pipeline.ts";
import {
  nodesetSchema,
  pragmaSchema,
  projectFields,
  projectPipelineSchema,
  projectSchema,
  queueSchema,
  secretSchema,
  semaphoreSchema,
  templateFields,
  templateSchema,
} from "./schema.ts";
import { UNBUILT_KINDS, UNBUILT_PROJECT_PIPELINE, UNBUILT_SECRET, unbuilt } from "./unbuilt.ts";

const KINDS = [
  "job",
  "project",
  "project-template",
  "pipeline",
  "queue",
  "nodeset",
  "semaphore",
  "secret",
  "pragma",
];

/**
 * What one file says, as far as it can be said without the others. Items that are wrong are left out, and told; it throws
 * nothing, whatever the text.
 */
export function parseFile(text: string, place: Omit<Origin, "line">): ParsedFile {
  const { items, problems } = readItems(text);
  const check = new FileCheck();
  const jobs: JobVariant[] = [];
  const projects: ProjectStanza[] = [];
  const templates: ProjectStanza[] = [];
  const pipelines: PipelineDefinition[] = [];
  const queues: QueueDefinition[] = [];
  const nodesets: NamedNodeset[] = [];
  const semaphores: SemaphoreDefinition[] = [];
  const secrets: SecretDefinition[] = [];
  const refused: string[] = [];

  const pragma = pragmaOf(check, items);
  for (const item of items) {
    const origin: Origin = { ...place, line: item.line };
    const keep = <T>(list: T[], found: T | undefined): void => {
      if (found !== undefined) list.push(found);
      else if (isObject(item.value) && typeof item.value.name === "string") {
        refused.push(`${item.kind} ${item.value.name}`);
      }
    };
    if (item.kind === "job") keep(jobs, parseJob(check, item, pragma, origin));
    else if (item.kind === "project") keep(projects, parseProject(check, item, pragma, origin, false));
    else if (item.kind === "project-template")
      keep(templates, parseProject(check, item, pragma, origin, true));
    else if (item.kind === "pipeline") keep(pipelines, parsePipeline(check, item, origin));
    else if (item.kind === "queue") keep(queues, parseQueue(check, item, origin));
    else if (item.kind === "nodeset") keep(nodesets, parseNodeset(check, item, origin));
    else if (item.kind === "semaphore") keep(semaphores, parseSemaphore(check, item, origin));
    else if (item.kind === "secret") keep(secrets, parseSecret(check, item, origin));
    else if (item.kind !== "pragma") {
      const message = unbuilt(UNBUILT_KINDS, item.kind);
      const near = suggestion(item.kind, KINDS);
      check.add(item, [], message ?? `there is no item ${JSON.stringify(item.kind)}${near}`);
    }
  }
  return {
    jobs,
    projects,
    templates,
    pipelines,
    queues,
    nodesets,
    semaphores,
    secrets,
    refused,
    problems: capped([...problems, ...check.problems].toSorted((a, b) => a.line - b.line)),
  };
}

function pragmaOf(check: FileCheck, items: readonly ConfigItem[]): FilePragma {
  let pragma: FilePragma = { impliedBranches: undefined, impliesBranches: undefined };
  for (const item of items.filter(({ kind }) => kind === "pragma")) {
    const written = check.shape(item, [], item.value, pragmaSchema);
    if (written === undefined) continue;
    const branches = written["implied-branches"];
    pragma = {
      impliesBranches: written["implied-branch-matchers"] ?? pragma.impliesBranches,
      impliedBranches:
        branches === undefined ? pragma.impliedBranches : check.regexes(item, ["implied-branches"], branches),
    };
  }
  return pragma;
}

function parseQueue(check: FileCheck, item: ConfigItem, origin: Origin): QueueDefinition | undefined {
  const written = check.shape(item, [], item.value, queueSchema);
  if (written === undefined) return undefined;
  if (written["dependencies-by-topic"] === true) {
    check.add(item, ["dependencies-by-topic"], "dependencies-by-topic is not built yet");
    return undefined;
  }
  const { "per-branch": perBranch = false, "allow-circular-dependencies": allowsCycles = false } = written;
  return { name: written.name, origin, perBranch, allowsCycles };
}

function parseSecret(check: FileCheck, item: ConfigItem, origin: Origin): SecretDefinition | undefined {
  const written = check.shape(item, [], item.value, secretSchema, UNBUILT_SECRET);
  if (written === undefined) return undefined;
  return { name: written.name, origin, data: written.data as SecretDefinition["data"] };
}

function parseNodeset(check: FileCheck, item: ConfigItem, origin: Origin): NamedNodeset | undefined {
  const before = check.problems.length;
  const written = check.shape(item, [], item.value, nodesetSchema);
  if (written === undefined) return undefined;
  const nodeset = nodesetOf(written, (message) => check.add(item, ["nodes"], message));
  return check.problems.length > before ? undefined : { name: written.name, origin, ...nodeset };
}

function parseSemaphore(check: FileCheck, item: ConfigItem, origin: Origin): SemaphoreDefinition | undefined {
  const written = check.shape(item, [], item.value, semaphoreSchema);
  return written === undefined ? undefined : { name: written.name, origin, max: written.max ?? 1 };
}

function parseProject(
  check: FileCheck,
  item: ConfigItem,
  pragma: FilePragma,
  origin: Origin,
  isTemplate: boolean,
): ProjectStanza | undefined {
  const written = isTemplate
    ? check.shape(item, [], item.value, templateSchema)
    : check.shape(item, [], item.value ?? {}, projectSchema);
  if (written === undefined) return undefined;
  const before = check.problems.length;
  const fields = isTemplate ? templateFields : projectFields;
  const pipelines = new Map<string, ProjectPipeline>();
  for (const [name, value] of Object.entries(written)) {
    if (Object.hasOwn(fields, name)) continue;
    if (Object.hasOwn(projectFields, name)) {
      check.add(item, [name], `${name}: stands in a project, not in a project-template`);
      continue;
    }
    if (!isObject(value)) {
      check.add(
        item,
        [name],
        `${name}: as a pipeline it would be a map with \`jobs\`${suggestion(name, Object.keys(fields))}`,
      );
      continue;
    }
    const pipeline = parseProjectPipeline(check, item, name, value, pragma, origin);
    if (pipeline !== undefined) pipelines.set(name, pipeline);
  }
  const project = Object.fromEntries(
    Object.entries(written).filter(([key]) => Object.hasOwn(fields, key)),
  ) as ProjectWritten;
  const name = project.name ?? null;
  const regex = name?.startsWith("^") ? check.regexes(item, ["name"], [name])?.[0] : undefined;
  const branches =
    project.branches === undefined ? undefined : check.regexes(item, ["branches"], project.branches);
  if (check.problems.length > before) return undefined;
  return {
    name,
    nameRegex: regex,
    origin,
    branches,
    ...pragma,
    templates: (project.templates ?? []).map((template, index) => ({
      name: template,
      line: item.lineOf(["templates", index]),
    })),
    mergeMode: project["merge-mode"],
    defaultBranch: project["default-branch"],
    queue: project.queue,
    vars: (project.vars ?? {}) as Variables,
    pipelines,
  };
}

/** What `z.looseObject` cannot say: the keys that are no pipelines. */
type ProjectWritten = {
  [K in keyof typeof projectFields]?: (typeof projectFields)[K]["_zod"]["output"];
};

function parseProjectPipeline(
  check: FileCheck,
  item: ConfigItem,
  name: string,
  value: unknown,
  pragma: FilePragma,
  origin: Origin,
): ProjectPipeline | undefined {
  const written = check.shape(item, [name], value, projectPipelineSchema, UNBUILT_PROJECT_PIPELINE);
  if (written === undefined) return undefined;
  const jobs: JobVariant[] = [];
  for (const [index, one] of (written.jobs ?? []).entries()) {
    const path = [name, "jobs", index];
    const [entry, ...more] = typeof one === "string" ? [[one, {}] as const] : Object.entries(one);
    if (entry === undefined || more.length > 0) {
      check.add(item, path, `${name}.jobs: an element is a job's name, or a map from one name to attributes`);
      continue;
    }
    const [job, attributes] = entry;
    const at: Origin = { ...origin, line: item.lineOf([...path, job]) };
    const found = parseProjectJob(check, item, [...path, job], job, attributes, pragma, at);
    if (found !== undefined) jobs.push(found);
  }
  return { failFast: written["fail-fast"], jobs, line: item.lineOf([name]) };
}
