import type { ConfigProblem } from "../core/index.ts";
import { branchRule, type LoadedProject, ruleAccepts } from "./branches.ts";
import { NOOP } from "./freeze.ts";
import { Layout, type LayoutParts } from "./layout.ts";
import { CONFIG_LIMITS } from "./limits.ts";
import type {
  ConnectionAction,
  JobVariant,
  NamedNodeset,
  NodesetDefinition,
  Origin,
  ParsedFile,
  PipelineDefinition,
  ProjectStanza,
  QueueDefinition,
  SecretDefinition,
  SemaphoreDefinition,
} from "./model.ts";
import { suggestion } from "./nearest.ts";
import { alternativesOf, nodeCount } from "./nodesets.ts";
import type { Tenant } from "./tenant.ts";

/** A branch of a project as its files say. */
export interface ParsedBranch {
  readonly branch: string;
  readonly files: readonly { readonly path: string; readonly parsed: ParsedFile }[];
  readonly problems: readonly ConfigProblem[];
}

/** A project with all branches that are loaded. */
export interface ParsedProject {
  readonly project: LoadedProject;
  readonly branches: readonly ParsedBranch[];
  readonly problems: readonly ConfigProblem[];
}

/** A layout of what is right, and all that is wrong. */
export interface LoadedLayout {
  readonly layout: Layout;
  readonly problems: readonly ConfigProblem[];
  /** Those of them that are names of things which are not there. */
  readonly unresolved: ReadonlySet<ConfigProblem>;
}

/**
 * Puts together what the files of a tenant say. An item that contradicts those before it, or may not stand where it stands, is
 * left out; one that names what does not exist stays, and what needs it cannot be frozen.
 */
export function buildLayout(tenant: Tenant, version: number, parsed: readonly ParsedProject[]): LoadedLayout {
  return new Builder(tenant, version, parsed).build();
}

class Builder {
  readonly #tenant: Tenant;
  readonly #version: number;
  readonly #parsed: readonly ParsedProject[];
  readonly #projects: ReadonlyMap<string, LoadedProject>;
  readonly #problems: ConfigProblem[] = [];
  readonly #unresolved = new Set<ConfigProblem>();
  readonly #refused = new Set<string>();
  readonly #pipelines = new Map<string, PipelineDefinition>();
  readonly #jobs = new Map<string, JobVariant[]>();
  readonly #nodesets = new Map<string, NamedNodeset>();
  readonly #queues = new Map<string, QueueDefinition>();
  readonly #semaphores = new Map<string, SemaphoreDefinition>();
  readonly #secrets = new Map<string, SecretDefinition>();
  readonly #templates = new Map<string, ProjectStanza[]>();
  readonly #stanzas = new Map<string, ProjectStanza[]>();

  constructor(tenant: Tenant, version: number, parsed: readonly ParsedProject[]) {
    this.#tenant = tenant;
    this.#version = version;
    this.#parsed = parsed;
    this.#projects = new Map(parsed.map(({ project }) => [project.name, project]));
  }

  build(): LoadedLayout {
    const byRegex: ProjectStanza[] = [];
    for (const { project, branches, problems } of this.#parsed) {
      this.#problems.push(...problems);
      for (const { branch, files, problems: ofBranch } of branches) {
        this.#problems.push(...ofBranch);
        for (const { path, parsed } of files) {
          for (const { line, message } of parsed.problems) {
            this.#problems.push({ project: project.name, branch, file: path, line, message });
          }
          for (const name of parsed.refused) this.#refused.add(name);
          this.#add(project, parsed, byRegex);
        }
      }
    }
    // A project that is named decides before a regular expression that happens to match it.
    for (const stanza of byRegex) {
      for (const name of this.#projects.keys()) {
        if (stanza.nameRegex!.matches(name)) put(this.#stanzas, name, stanza);
      }
    }
    const parts: LayoutParts = {
      tenant: this.#tenant,
      version: this.#version,
      projects: this.#projects,
      pipelines: this.#pipelines,
      jobs: this.#jobs,
      nodesets: this.#nodesets,
      queues: this.#queues,
      semaphores: this.#semaphores,
      secrets: this.#secrets,
      templates: this.#templates,
      stanzas: this.#stanzas,
    };
    this.#checkPipelines();
    this.#checkJobs();
    this.#checkAncestors();
    this.#checkProjects(parts);
    return { layout: new Layout(parts), problems: this.#problems, unresolved: this.#unresolved };
  }

  #problem({ project, branch, file, line }: Origin, message: string, at: number | undefined = line): void {
    this.#problems.push({ project, branch, file, line: at, message });
  }

  /** Tells of a name that is not there. */
  #unknown(origin: Origin, message: string, at?: number): void {
    this.#problem(origin, message, at);
    this.#unresolved.add(this.#problems.at(-1)!);
  }

  #add(project: LoadedProject, file: ParsedFile, byRegex: ProjectStanza[]): void {
    const { kinds } = project;
    if (kinds.has("pipeline")) for (const one of file.pipelines) this.#addPipeline(one);
    if (kinds.has("nodeset")) for (const one of file.nodesets) this.#addNodeset(one);
    if (kinds.has("job")) for (const one of file.jobs) this.#addJob(project, one);
    if (kinds.has("queue")) for (const one of file.queues) this.#addQueue(one);
    if (kinds.has("secret")) for (const one of file.secrets) this.#addSecret(one);
    if (kinds.has("semaphore")) for (const one of file.semaphores) this.#addSemaphore(one);
    if (kinds.has("project-template")) for (const one of file.templates) this.#addTemplate(one);
    if (kinds.has("project")) for (const one of file.projects) this.#addProject(project, one, byRegex);
  }

  #addPipeline(pipeline: PipelineDefinition): void {
    const { name, origin } = pipeline;
    const before = this.#pipelines.get(name);
    if (!origin.trusted) {
      this.#problem(origin, `pipeline ${name}: a pipeline stands in a config-project only`);
    } else if (before !== undefined) {
      this.#problem(origin, `pipeline ${name} is defined already, at ${show(before.origin)}`);
    } else this.#pipelines.set(name, pipeline);
  }

  #addNodeset(nodeset: NamedNodeset): void {
    const { name, origin } = nodeset;
    const fault = this.#nodesetFault(nodeset);
    const before = this.#nodesets.get(name);
    if (fault !== undefined) this.#refuse("nodeset", name, origin, `nodeset ${name}: ${fault}`);
    else if (before === undefined) this.#nodesets.set(name, nodeset);
    else {
      const content = ({ nodes, groups, alternatives }: NodesetDefinition) =>
        JSON.stringify([nodes, groups, alternatives]);
      if (before.origin.project !== origin.project) {
        this.#problem(origin, `nodeset ${name} is defined already, at ${show(before.origin)}`);
      } else if (content(nodeset) !== content(before)) {
        this.#problem(origin, `nodeset ${name} is defined otherwise at ${show(before.origin)}`);
      }
    }
  }

  #nodesetFault({ nodes, alternatives = [] }: NodesetDefinition): string | undefined {
    const { maxNodesPerJob, allowedLabels, disallowedLabels } = this.#tenant;
    for (const one of alternatives) {
      const fault = typeof one === "string" ? undefined : this.#nodesetFault(one);
      if (fault !== undefined) return fault;
    }
    const count = nodeCount({ nodes });
    if (maxNodesPerJob !== null && count > maxNodesPerJob) {
      return `it has ${count} nodes, and the tenant allows ${maxNodesPerJob} of a job`;
    }
    for (const { label } of nodes) {
      const isAllowed = allowedLabels?.some((regex) => regex.matches(label)) ?? true;
      if (!isAllowed || disallowedLabels.some((regex) => regex.matches(label))) {
        return `the tenant does not allow the label ${label}`;
      }
    }
    return undefined;
  }

  #addJob(project: LoadedProject, job: JobVariant): void {
    const { name, origin } = job;
    const others = (this.#jobs.get(name) ?? []).filter((one) => one.origin.project !== origin.project);
    if (others.length > 0) {
      if (others.every((one) => project.shadow.includes(one.origin.project))) return;
      this.#problem(
        origin,
        `job ${name} is defined at ${show(others[0]!.origin)}; further definitions of a job stand in the same project`,
      );
      return;
    }
    const fault = this.#jobFault(job);
    if (name === NOOP) this.#refuse("job", name, origin, `job ${NOOP} is built in`);
    else if (job.parent === null && !origin.trusted) {
      this.#refuse(
        "job",
        name,
        origin,
        `job ${name}: a job without a parent stands in a config-project only`,
      );
    } else if (fault !== undefined) {
      this.#refuse("job", name, origin, `job ${name}: ${fault.message}`, job.lines[fault.key]);
    } else put(this.#jobs, name, job);
  }

  #jobFault({ attributes }: JobVariant): { key: string; message: string } | undefined {
    const { maxJobTimeout } = this.#tenant;
    const { nodeset } = attributes;
    for (const [key, seconds] of [
      ["timeout", attributes.timeout],
      ["pre-timeout", attributes.preTimeout],
      ["post-timeout", attributes.postTimeout],
    ] as const) {
      if (seconds !== undefined && maxJobTimeout !== null && seconds > maxJobTimeout) {
        return {
          key,
          message: `${key}: ${seconds} s is more than the tenant allows, which is ${maxJobTimeout} s`,
        };
      }
    }
    const fault = typeof nodeset === "object" ? this.#nodesetFault(nodeset) : undefined;
    return fault === undefined ? undefined : { key: "nodeset", message: fault };
  }

  #addQueue(queue: QueueDefinition): void {
    const { name, origin, perBranch, allowsCycles } = queue;
    const before = this.#queues.get(name);
    if (before === undefined) this.#queues.set(name, queue);
    else if (
      before.origin.project !== origin.project ||
      before.perBranch !== perBranch ||
      before.allowsCycles !== allowsCycles
    ) {
      this.#problem(origin, `queue ${name} is defined already, at ${show(before.origin)}`);
    }
  }

  #addSecret(secret: SecretDefinition): void {
    const { name, origin, data } = secret;
    const before = this.#secrets.get(name);
    if (before === undefined) this.#secrets.set(name, secret);
    else if (before.origin.project !== origin.project) {
      this.#problem(origin, `secret ${name} is defined already, at ${show(before.origin)}`);
    } else if (JSON.stringify(before.data) !== JSON.stringify(data)) {
      this.#problem(origin, `secret ${name} is defined otherwise at ${show(before.origin)}`);
    }
  }

  #addSemaphore(semaphore: SemaphoreDefinition): void {
    const { name, origin, max } = semaphore;
    const before = this.#semaphores.get(name);
    if (before === undefined) this.#semaphores.set(name, semaphore);
    else if (before.origin.project !== origin.project) {
      this.#problem(origin, `semaphore ${name} is defined already, at ${show(before.origin)}`);
    } else if (before.max !== max) {
      this.#problem(origin, `semaphore ${name} is defined otherwise at ${show(before.origin)}`);
    }
  }

  #addTemplate(template: ProjectStanza): void {
    const { origin } = template;
    const name = template.name!;
    const before = this.#templates.get(name)?.[0];
    if (before !== undefined && before.origin.project !== origin.project) {
      this.#problem(origin, `project-template ${name} is defined already, at ${show(before.origin)}`);
    } else if (this.#pipelinesAreRight(template)) put(this.#templates, name, template);
    else this.#refused.add(`project-template ${name}`);
  }

  #addProject(from: LoadedProject, stanza: ProjectStanza, byRegex: ProjectStanza[]): void {
    const { origin, nameRegex } = stanza;
    const name = stanza.name ?? from.name;
    const mayConfigure = (other: string): boolean =>
      from.trusted || other === from.name || from.configureProjects.some((regex) => regex.matches(other));
    if (!this.#pipelinesAreRight(stanza)) return;
    if (nameRegex !== undefined) {
      if (from.trusted) byRegex.push(stanza);
      else this.#problem(origin, `project ${name}: a regular expression stands in a config-project only`);
    } else if (!this.#projects.has(name)) {
      const near = suggestion(name, this.#projects.keys());
      this.#unknown(origin, `project ${name} is none of the tenant's${near}`);
    } else if (!mayConfigure(name)) {
      this.#problem(
        origin,
        `project ${name}: an untrusted project configures only itself, which is ${from.name}`,
      );
    } else put(this.#stanzas, name, stanza);
  }

  /** Limits of the tenant hold for what a project's pipeline says of a job, too. */
  #pipelinesAreRight({ pipelines }: ProjectStanza): boolean {
    let isRight = true;
    for (const job of [...pipelines.values()].flatMap(({ jobs }) => jobs)) {
      const fault = this.#jobFault(job);
      if (fault === undefined) continue;
      this.#problem(job.origin, `job ${job.name}: ${fault.message}`, job.lines[fault.key]);
      isRight = false;
    }
    return isRight;
  }

  #refuse(kind: string, name: string, origin: Origin, message: string, line?: number): void {
    this.#problem(origin, message, line);
    this.#refused.add(`${kind} ${name}`);
  }

  /** `, which was refused` or `, which is not defined; did you mean …?` */
  #missing(kind: string, name: string, known: Iterable<string>): string {
    if (this.#refused.has(`${kind} ${name}`)) return "which was refused, as told at its definition";
    return `which is not defined${suggestion(name, known)}`;
  }

  #checkPipelines(): void {
    const { allowedTriggers, allowedReporters } = this.#tenant;
    for (const {
      name,
      origin,
      supercedes,
      supercedesLine,
      triggers,
      timers,
      innerTriggers: { parentEnqueued, projectMerged },
      reporters,
      disabledReporters,
    } of this.#pipelines.values()) {
      for (const other of supercedes) {
        if (this.#pipelines.has(other)) continue;
        const missing = this.#missing("pipeline", other, this.#pipelines.keys());
        this.#unknown(origin, `pipeline ${name} supercedes ${other}, ${missing}`, supercedesLine);
      }
      for (const other of parentEnqueued ?? []) {
        if (this.#pipelines.has(other)) continue;
        const missing = this.#missing("pipeline", other, this.#pipelines.keys());
        this.#unknown(origin, `pipeline ${name} is triggered by pipeline ${other}, ${missing}`);
      }
      const triggeredBy = {
        local: triggers.length > 0,
        timer: timers.length > 0,
        zuul: parentEnqueued !== null || projectMerged,
      };
      for (const [driver, isThere] of Object.entries(triggeredBy)) {
        if (isThere && allowedTriggers?.includes(driver) === false)
          this.#problem(origin, `pipeline ${name}: the tenant does not allow the trigger ${driver}`);
      }
      const actions = [...Object.values(reporters), disabledReporters].flatMap((list) => list ?? []);
      const names = actions.map((one) => (one.driver === "local" ? "local" : one.connection));
      for (const reporter of new Set(names)) {
        if (allowedReporters?.includes(reporter) !== false) continue;
        this.#problem(origin, `pipeline ${name}: the tenant does not allow the reporter ${reporter}`);
      }
      for (const one of actions) if (one.driver === "connection") this.#checkConnection(name, origin, one);
    }
  }

  #checkConnection(pipeline: string, origin: Origin, action: ConnectionAction): void {
    const { connections } = this.#tenant;
    const { connection: name, to, from, subject, line } = action;
    // Of a work tree alone nobody knows which there are.
    if (connections === undefined) return;
    const found = connections.get(name);
    if (found === undefined) {
      const near = suggestion(name, ["local", ...connections.keys()]);
      const text = `pipeline ${pipeline} reports to ${name}, which is no connection of the tenant file${near}`;
      this.#problem(origin, text, line);
    } else if (found.driver !== "smtp" && [to, from, subject].some((one) => one !== null)) {
      const text = `pipeline ${pipeline} reports to ${name} with to, from or subject, which are for the driver smtp`;
      this.#problem(origin, text, line);
    }
  }

  #checkJobs(): void {
    const { defaultParent } = this.#tenant;
    const hasDefault = this.#jobs.has(defaultParent);
    // Once for each file: of hundreds of jobs it is one mistake.
    const toldOf = new Set<string>();
    for (const [name, variants] of this.#jobs) {
      const { parent, origin } = variants[0]!;
      const file = [origin.project, origin.branch, origin.file].join("\0");
      if (!hasDefault && parent === undefined && name !== defaultParent && !toldOf.has(file)) {
        toldOf.add(file);
        const missing = this.#missing("job", defaultParent, this.#jobs.keys());
        this.#unknown(origin, `job ${name} has the default parent ${defaultParent}, ${missing}`);
      }
      for (const job of variants) {
        this.#checkReferences(job);
        if (job.parent == null || this.#jobs.has(job.parent)) continue;
        const missing = this.#missing("job", job.parent, this.#jobs.keys());
        this.#unknown(job.origin, `job ${name} has the parent ${job.parent}, ${missing}`, job.lines.parent);
      }
    }
  }

  #checkReferences({ name, origin, attributes, lines }: JobVariant): void {
    const { nodeset, requiredProjects = [], allowedProjects = [], roles = [], includeVars = [] } = attributes;
    if (typeof nodeset === "string" && !this.#nodesets.has(nodeset)) {
      const missing = this.#missing("nodeset", nodeset, this.#nodesets.keys());
      this.#unknown(origin, `job ${name} has the nodeset ${nodeset}, ${missing}`, lines.nodeset);
    } else if (nodeset !== undefined) {
      const alternatives = alternativesOf(nodeset, this.#nodesets);
      if (typeof alternatives === "string")
        this.#unknown(origin, `job ${name}: ${alternatives}`, lines.nodeset);
    }
    for (const { secret } of attributes.secrets ?? []) {
      const found = this.#secrets.get(secret);
      if (found === undefined) {
        const missing = this.#missing("secret", secret, this.#secrets.keys());
        this.#unknown(origin, `job ${name} has the secret ${secret}, ${missing}`, lines.secrets);
      } else if (found.origin.project !== origin.project) {
        this.#problem(
          origin,
          `job ${name} has the secret ${secret} of ${found.origin.project}; a secret is used in the project that defines it`,
          lines.secrets,
        );
      }
    }
    for (const [key, names] of [
      ["required-projects", requiredProjects.map((one) => one.name)],
      ["allowed-projects", allowedProjects],
      ["roles", roles.map((one) => one.project)],
      ["include-vars", includeVars.flatMap((one) => one.project ?? [])],
    ] as const) {
      for (const one of names) {
        if (this.#projects.has(one)) continue;
        const near = suggestion(one, this.#projects.keys());
        this.#unknown(
          origin,
          `job ${name} has ${one} among its ${key}, which is no project here${near}`,
          lines[key],
        );
      }
    }
  }

  /** Finds jobs that are their own ancestors, and those with too many. */
  #checkAncestors(): void {
    const depths = new Map<string, number>();
    const under = new Set<string>();
    const depthOf = (name: string): number => {
      const known = depths.get(name);
      if (known !== undefined) return known;
      // As deep as this it is told already, and the stack is not for configuration to fill.
      if (under.size > 2 * CONFIG_LIMITS.maxAncestors) return 0;
      under.add(name);
      let depth = 0;
      for (const job of this.#jobs.get(name) ?? []) {
        if (job.parent == null) continue;
        if (under.has(job.parent)) {
          this.#problem(
            job.origin,
            `job ${name} is its own ancestor, by way of ${job.parent}`,
            job.lines.parent,
          );
          continue;
        }
        depth = Math.max(depth, depthOf(job.parent) + 1);
      }
      under.delete(name);
      depths.set(name, depth);
      if (depth === CONFIG_LIMITS.maxAncestors + 1) {
        const at = this.#jobs.get(name)![0]!;
        this.#problem(
          at.origin,
          `job ${name} has more than ${CONFIG_LIMITS.maxAncestors} ancestors`,
          at.lines.parent,
        );
      }
      return depth;
    };
    for (const name of this.#jobs.keys()) depthOf(name);
  }

  #checkProjects(parts: LayoutParts): void {
    const seen = new Set<ProjectStanza>();
    const check = (stanza: ProjectStanza): void => {
      if (seen.has(stanza)) return;
      seen.add(stanza);
      for (const { name, line } of stanza.templates) {
        if (this.#templates.has(name)) continue;
        const missing = this.#missing("project-template", name, this.#templates.keys());
        this.#unknown(stanza.origin, `there is the template ${name}, ${missing}`, line);
      }
      for (const [name, { jobs, line }] of stanza.pipelines) {
        if (!this.#pipelines.has(name)) {
          this.#unknown(
            stanza.origin,
            `there is the pipeline ${name}, ${this.#missing("pipeline", name, this.#pipelines.keys())}`,
            line,
          );
        }
        for (const job of jobs) {
          this.#checkReferences(job);
          if (job.name === NOOP || this.#jobs.has(job.name)) continue;
          this.#unknown(
            job.origin,
            `there is the job ${job.name}, ${this.#missing("job", job.name, this.#jobs.keys())}`,
          );
        }
      }
    };
    for (const stanzas of this.#templates.values()) stanzas.forEach(check);
    for (const [project, stanzas] of this.#stanzas) {
      stanzas.forEach(check);
      this.#checkMerging(parts, project, stanzas);
    }
  }

  /** To one branch only one pipeline merges: two would each test a future that the other changes. */
  #checkMerging(parts: LayoutParts, project: string, stanzas: readonly ProjectStanza[]): void {
    const isDependent = (name: string): boolean => this.#pipelines.get(name)?.manager === "dependent";
    const withTemplates = stanzas.map((stanza) => ({
      stanza,
      parts: [stanza, ...stanza.templates.flatMap(({ name }) => this.#templates.get(name) ?? [])],
    }));
    const dependent = new Set(
      withTemplates.flatMap((one) =>
        one.parts.flatMap((part) => [...part.pipelines.keys()].filter(isDependent)),
      ),
    );
    if (dependent.size < 2) return;
    for (const branch of this.#projects.get(project)!.branches) {
      let first: string | undefined;
      for (const one of withTemplates) {
        for (const part of one.parts) {
          const source = [one.stanza, part].map((item) => ({
            item,
            from: parts.projects.get(item.origin.project),
          }));
          if (!source.every(({ item, from }) => ruleAccepts(branchRule(item, from), { branch }))) continue;
          for (const [name, { jobs, line }] of part.pipelines) {
            if (!isDependent(name) || jobs.length === 0) continue;
            first ??= name;
            if (name === first) continue;
            this.#problem(
              part.origin,
              `project ${project} is in the dependent pipelines ${first} and ${name}; one only merges to its branch ${branch}`,
              line,
            );
            return;
          }
        }
      }
    }
  }
}

function put<T>(lists: Map<string, T[]>, name: string, value: T): void {
  const list = lists.get(name);
  if (list === undefined) lists.set(name, [value]);
  else list.push(value);
}

function show({ project, branch, file, line }: Origin): string {
  return `${project} ${branch} ${file}:${line}`;
}
