import { isDeepStrictEqual } from "node:util";
import type { SemaphoreUse } from "../core/index.ts";
import type {
  Deduplicate,
  IncludedFile,
  JobAttributes,
  JobDependency,
  JobVariant,
  Json,
  NodesetDefinition,
  Origin,
  RequiredProject,
  RoleSource,
  SecretUse,
  Step,
  Variables,
} from "./model.ts";
import { lastPart } from "./parse-job.ts";
import type { Regex } from "./regex.ts";
import type { BuildInput } from "./schema.ts";

/** A step of a phase. A file is looked up where the job that names it is defined; a command needs nothing. */
export type PhaseStep = {
  readonly project: string;
  readonly branch: string;
  /** Defined by a config-project. */
  readonly trusted: boolean;
  /** The job whose definition has it. */
  readonly job: string;
  /** How many definitions stand before that one, so that a post-run step can tell whether its pre-run was begun. */
  readonly level: number;
  /** Of a playbook: those of its definition and of the ones before it, the nearest first. */
  readonly roles?: readonly RoleSource[];
  /** Of a file: those of its definition, and those that later ones pass to it. */
  readonly secrets?: readonly GivenSecret[];
} & Step;

/** A secret that a file gets, as a variable of that name. */
export interface GivenSecret extends Pick<SecretUse, "name" | "secret"> {
  /** Where it is said that it gets it: none but that project's secrets can be given. */
  readonly project: string;
}

/** A file that variables are read from, of that project. `null`: of the one under test. */
export type IncludedVars = Omit<IncludedFile, "project"> & { readonly project: string | null };

/** Whether Ansible runs it. */
export function isPlaybook(step: Step): boolean {
  return "path" in step && /\.ya?ml$/.test(step.path);
}

/** A definition may not be added to those before it; the message says why. */
export class RefusedVariant extends Error {
  override readonly name = "RefusedVariant";
}

/** What a final or protected job lets nobody else set. */
const OF_EXECUTION: readonly (keyof JobAttributes)[] = [
  "timeout",
  "preTimeout",
  "postTimeout",
  "vars",
  "extraVars",
  "includeVars",
  "hostVars",
  "groupVars",
  "roles",
  "secrets",
  "nodeset",
  "preRun",
  "run",
  "postRun",
  "attempts",
  "semaphores",
  "provides",
  "requires",
  "failureOutput",
  "requiredProjects",
  "allowedProjects",
  "overrideCheckout",
  "postReview",
  "workspaceScheme",
  "workspaceCheckout",
  "network",
  "reuse",
  "inputs",
  "maxAge",
];

/** A job while definitions are added to it, from the oldest ancestor's to the project's. */
export class Inheritance {
  readonly name: string;
  #last: string | undefined;
  #protectedBy: string | undefined;
  /** By attribute as written: the job that made it final. */
  readonly #finalAttributes = new Map<string, string>();
  abstract = false;
  intermediate = false;
  final = false;
  description: string | undefined;
  voting = true;
  attempts = 3;
  files: readonly Regex[] | undefined;
  irrelevantFiles: readonly Regex[] | undefined;
  matchOnConfigUpdates = true;
  readonly tags = new Set<string>();
  readonly provides = new Set<string>();
  readonly requires = new Set<string>();
  allowedProjects: ReadonlySet<string> | undefined;
  postReview = false;
  /** It is so since an untrusted file gets a secret. */
  isPostReviewForSecrets = false;
  dependencies: readonly JobDependency[] = [];
  holdFollowingChanges = false;
  nodeset: string | NodesetDefinition | undefined;
  timeout: number | undefined;
  preTimeout: number | undefined;
  postTimeout: number | undefined;
  workspaceScheme: "golang" | "flat" | "unique" = "golang";
  workspaceCheckout = true;
  overrideCheckout: string | undefined;
  readonly failureOutput = new Set<string>();
  readonly semaphores = new Map<string, SemaphoreUse>();
  readonly requiredProjects = new Map<string, RequiredProject>();
  preRun: readonly PhaseStep[] = [];
  run: readonly PhaseStep[] = [];
  postRun: readonly PhaseStep[] = [];
  vars: Variables = {};
  extraVars: Variables = {};
  includeVars: readonly IncludedVars[] = [];
  /** Names of variables that untrusted definitions have set. */
  readonly untrustedVars = new Set<string>();
  hostVars: Variables = {};
  groupVars: Variables = {};
  roles: readonly RoleSource[] = [];
  network = false;
  deduplicate: Deduplicate = "auto";
  reuse = false;
  readonly inputs = new Set<BuildInput>();
  maxAge: number | undefined;
  successMessage: string | undefined;
  failureMessage: string | undefined;
  readonly path: (Origin & { readonly job: string })[] = [];

  constructor(name: string) {
    this.name = name;
  }

  /** @throws RefusedVariant */
  apply(variant: JobVariant): void {
    const { attributes: set, origin } = variant;
    const isChild = this.#last !== undefined && variant.name !== this.#last;
    this.#refuse(variant);
    if (isChild || this.#last === undefined) {
      this.abstract = set.abstract ?? false;
      this.intermediate = set.intermediate ?? false;
    } else {
      this.abstract ||= set.abstract ?? false;
      this.intermediate ||= set.intermediate ?? false;
    }
    // Else a definition could undo it for the next one.
    this.final ||= set.final ?? false;
    if (set.protected === true) this.#protectedBy ??= origin.project;

    this.description = set.description ?? this.description;
    this.voting = set.voting ?? this.voting;
    this.attempts = set.attempts ?? this.attempts;
    this.#override(variant);
    const added = <T>(key: "files" | "irrelevantFiles" | "dependencies", before: readonly T[] | undefined) =>
      variant.controls[key] === "inherit" ? (before ?? []) : [];
    if (set.files !== undefined) this.files = [...added("files", this.files), ...set.files];
    if (set.irrelevantFiles !== undefined)
      this.irrelevantFiles = [...added("irrelevantFiles", this.irrelevantFiles), ...set.irrelevantFiles];
    this.matchOnConfigUpdates = set.matchOnConfigUpdates ?? this.matchOnConfigUpdates;
    if (set.dependencies !== undefined) {
      const names = new Set(set.dependencies.map(({ name }) => name));
      const before = added("dependencies", this.dependencies).filter(({ name }) => !names.has(name));
      this.dependencies = [...before, ...set.dependencies];
    }
    this.holdFollowingChanges = set.holdFollowingChanges ?? this.holdFollowingChanges;
    this.nodeset = set.nodeset ?? this.nodeset;
    this.timeout = set.timeout ?? this.timeout;
    this.preTimeout = set.preTimeout ?? this.preTimeout;
    this.postTimeout = set.postTimeout ?? this.postTimeout;
    this.workspaceScheme = set.workspaceScheme ?? this.workspaceScheme;
    this.workspaceCheckout = set.workspaceCheckout ?? this.workspaceCheckout;
    this.overrideCheckout = set.overrideCheckout ?? this.overrideCheckout;
    this.network = set.network ?? this.network;
    this.deduplicate = set.deduplicate ?? this.deduplicate;
    this.reuse = set.reuse ?? this.reuse;
    for (const input of set.inputs ?? []) this.inputs.add(input);
    this.maxAge = set.maxAge ?? this.maxAge;
    this.successMessage = set.successMessage ?? this.successMessage;
    this.failureMessage = set.failureMessage ?? this.failureMessage;
    this.postReview ||= set.postReview ?? false;

    for (const tag of set.tags ?? []) this.tags.add(tag);
    for (const tag of set.provides ?? []) this.provides.add(tag);
    for (const tag of set.requires ?? []) this.requires.add(tag);
    for (const pattern of set.failureOutput ?? []) this.failureOutput.add(pattern);
    for (const one of set.semaphores ?? []) this.semaphores.set(one.name, one);
    for (const one of set.requiredProjects ?? []) this.requiredProjects.set(one.name, one);
    const secrets = set.secrets ?? [];
    const isUntrustedWithSecrets = secrets.length > 0 && !origin.trusted;
    // Whatever it says itself: nobody else's change may have a part in what is done with them.
    const allowed = isUntrustedWithSecrets ? [origin.project] : set.allowedProjects;
    if (allowed !== undefined) {
      const before = this.allowedProjects;
      this.allowedProjects = new Set(allowed.filter((name) => before?.has(name) ?? true));
    }
    if (isUntrustedWithSecrets) this.isPostReviewForSecrets = true;
    const given = secrets.map(({ name, secret }): GivenSecret => ({ name, secret, project: origin.project }));
    this.#passToParents(given.filter((_, at) => secrets[at]!.passToParent));
    this.#addRoles(variant);
    const steps = (list: readonly Step[]): PhaseStep[] =>
      list.map((step) => ({
        project: origin.project,
        branch: origin.branch,
        trusted: origin.trusted,
        job: variant.name,
        level: this.path.length,
        ...("path" in step && given.length > 0 ? { secrets: given } : {}),
        ...(isPlaybook(step) && this.roles.length > 0 ? { roles: this.roles } : {}),
        ...step,
      }));
    if (set.preRun !== undefined) this.preRun = [...this.preRun, ...steps(set.preRun)];
    if (set.run !== undefined) this.run = steps(set.run);
    if (set.postRun !== undefined) this.postRun = [...steps(set.postRun), ...this.postRun];
    if (!origin.trusted) this.#noteVariables(set);
    if (set.vars !== undefined) this.vars = mergeVariables(this.vars, set.vars);
    if (set.extraVars !== undefined) this.extraVars = mergeVariables(this.extraVars, set.extraVars);
    for (const { project = origin.project, ...file } of set.includeVars ?? []) {
      const isSame = (one: IncludedVars) => one.project === project && one.path === file.path;
      if (!this.includeVars.some(isSame)) this.includeVars = [...this.includeVars, { ...file, project }];
    }
    if (set.hostVars !== undefined) this.hostVars = mergeVariables(this.hostVars, set.hostVars);
    if (set.groupVars !== undefined) this.groupVars = mergeVariables(this.groupVars, set.groupVars);

    for (const key of variant.finalAttributes)
      if (!this.#finalAttributes.has(key)) this.#finalAttributes.set(key, variant.name);
    this.path.push({ ...origin, job: variant.name });
    this.#last = variant.name;
  }

  /** What is set to what it is already is still whose it was. */
  #noteVariables({ vars, extraVars, hostVars = {}, groupVars = {} }: JobAttributes): void {
    const within = (all: Variables, name: string) => all[name] as Variables | undefined;
    const pairs = [
      [vars, this.vars],
      [extraVars, this.extraVars],
      ...Object.entries(hostVars).map(([name, more]) => [more, within(this.hostVars, name)] as const),
      ...Object.entries(groupVars).map(([name, more]) => [more, within(this.groupVars, name)] as const),
    ] as const;
    for (const [more = {}, before = {}] of pairs) {
      const after = mergeVariables(before, more);
      for (const name of Object.keys(more))
        if (!isDeepStrictEqual(before[name], after[name])) this.untrustedVars.add(name);
    }
  }

  /** What a name stands for already stays. */
  #passToParents(passed: readonly GivenSecret[]): void {
    if (passed.length === 0) return;
    const more = (steps: readonly PhaseStep[]): PhaseStep[] =>
      steps.map((step) => {
        if (!("path" in step)) return step;
        // Dynamic configuration could make that file hand it out.
        if (!step.trusted) this.isPostReviewForSecrets = true;
        const known = step.secrets ?? [];
        const added = passed.filter((one) => !known.some(({ name }) => name === one.name));
        return { ...step, secrets: [...known, ...added] };
      });
    this.preRun = more(this.preRun);
    this.run = more(this.run);
    this.postRun = more(this.postRun);
  }

  /** Forgets what a definition does not add to. */
  #override({ controls }: JobVariant): void {
    const replaces = (key: keyof JobAttributes): boolean => controls[key] === "override";
    if (replaces("tags")) this.tags.clear();
    if (replaces("provides")) this.provides.clear();
    if (replaces("requires")) this.requires.clear();
    if (replaces("failureOutput")) this.failureOutput.clear();
    if (replaces("semaphores")) this.semaphores.clear();
    if (replaces("requiredProjects")) this.requiredProjects.clear();
    if (replaces("preRun")) this.preRun = [];
    if (replaces("postRun")) this.postRun = [];
    if (replaces("vars")) this.vars = {};
    if (replaces("extraVars")) this.extraVars = {};
    if (replaces("includeVars")) this.includeVars = [];
    if (replaces("hostVars")) this.hostVars = {};
    if (replaces("groupVars")) this.groupVars = {};
    if (replaces("roles")) this.roles = [];
  }

  /** As Zuul orders them: a definition's own repository, those that it names, and then those that were there before. */
  #addRoles({ attributes, origin, isOfProject }: JobVariant): void {
    const own = { project: origin.project, name: roleNameOf(origin.project), implicit: true };
    const added = [...(isOfProject ? [] : [own]), ...(attributes.roles ?? [])];
    const isSame = (a: RoleSource, b: RoleSource) => a.project === b.project && a.name === b.name;
    // One that is named has to be one, though it was implied before.
    const kept = this.roles.map((role) => added.find((one) => isSame(one, role) && !one.implicit) ?? role);
    const fresh = added.filter(
      (role, at) =>
        !kept.some((one) => isSame(one, role)) && added.findLastIndex((one) => isSame(one, role)) === at,
    );
    this.roles = [...fresh, ...kept];
  }

  #refuse(variant: JobVariant): void {
    if (this.#last === undefined) return;
    const { attributes: set, origin } = variant;
    const touched =
      OF_EXECUTION.find((key) => set[key] !== undefined) ??
      (variant.parent === undefined ? undefined : "parent");
    if (touched !== undefined) {
      if (this.final) {
        throw new RefusedVariant(
          `job ${this.#last} is final, so that ${where(variant)} may not set ${kebab(touched)}`,
        );
      }
      if (this.#protectedBy !== undefined && this.#protectedBy !== origin.project) {
        throw new RefusedVariant(
          `job ${this.#last} is protected by ${this.#protectedBy}, so that ${where(variant)} may not set ${kebab(touched)}`,
        );
      }
    }
    for (const key of Object.keys(set)) {
      const by = this.#finalAttributes.get(kebab(key));
      if (by === undefined) continue;
      throw new RefusedVariant(
        `${kebab(key)} is final since job ${by}, so that ${where(variant)} may not set it`,
      );
    }
    if (this.intermediate && set.abstract !== true) {
      throw new RefusedVariant(
        `job ${this.#last} is intermediate, so that ${where(variant)} must be abstract to inherit from it`,
      );
    }
    if (set.protected === false && this.#protectedBy !== undefined) {
      throw new RefusedVariant(`job ${this.#last} is protected, which ${where(variant)} may not undo`);
    }
  }
}

/** Maps merge key by key, at every depth; anything else is replaced. */
export function mergeVariables(under: Variables, over: Variables): Variables {
  const merged: Record<string, Json> = { ...under };
  for (const [key, value] of Object.entries(over)) {
    const below = Object.hasOwn(under, key) ? under[key] : undefined;
    merged[key] = isMap(below) && isMap(value) ? mergeVariables(below, value) : value;
  }
  return merged;
}

function isMap(value: Json | undefined): value is Variables {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What playbooks call a repository that is one role, without saying so: `ansible-role-nginx` is `nginx`, as in Zuul. */
function roleNameOf(project: string): string {
  const name = lastPart(project);
  return name.replace(/^(?:ansible[-_.+]*)*(?:role[-_.+]*)*/, "") || name;
}

function where({ origin, name, isOfProject }: JobVariant): string {
  const what = isOfProject ? `the project's ${name}` : name;
  return `${what} at ${origin.project} ${origin.branch} ${origin.file}:${origin.line}`;
}

function kebab(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
