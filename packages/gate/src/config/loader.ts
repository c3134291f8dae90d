import { createHash } from "node:crypto";
import type { ConfigProblem } from "../core/index.ts";
import type { LoadedProject } from "./branches.ts";
import { buildLayout, type LoadedLayout, type ParsedBranch, type ParsedProject } from "./build.ts";
import { type ConfigFile, type ConfigSource, chooseFiles } from "./files.ts";
import { Kept } from "./kept.ts";
import { CONFIG_LIMITS } from "./limits.ts";
import type { ParsedFile } from "./model.ts";
import { withoutSuggestion } from "./nearest.ts";
import { parseFile } from "./parse.ts";
import { isDynamicBranch, loadsBranch, type Tenant, type TenantProject } from "./tenant.ts";

/** Files of configuration as changes would leave them. */
export interface ChangedConfig {
  readonly project: string;
  readonly branch: string;
  /**
   * All files of configuration of that branch with the changes merged, as `ConfigSource.files` would give them. The same list
   * has always the same files.
   */
  readonly files: readonly ConfigFile[];
}

/**
 * Loads a tenant's configuration, and again when a branch has changed. A file is parsed once for as long as its text stays the
 * same, and a layout that changes would make is put together once for as long as what is merged stays the same: a change of
 * one file costs that file and putting all together.
 */
export class ConfigLoader {
  /** May be replaced by one of the same name, before it is loaded again. */
  tenant: Tenant;
  readonly #source: ConfigSource;
  readonly #parsed = new Kept<ParsedFile>(CONFIG_LIMITS.maxKeptLength);
  readonly #proposed = new Kept<LoadedLayout>(CONFIG_LIMITS.maxKeptLayouts);
  #version = 0;
  #projects: ReadonlyMap<string, ParsedProject> = new Map();
  #loaded: LoadedLayout | undefined;

  constructor(tenant: Tenant, source: ConfigSource) {
    this.tenant = tenant;
    this.#source = source;
  }

  /** What was loaded last. */
  get current(): LoadedLayout | undefined {
    return this.#loaded;
  }

  /**
   * Reads all projects, or those given and no others. A project that cannot be read is a problem, and is loaded as one that
   * says nothing.
   */
  async load(projects: Iterable<string> = this.tenant.projects.keys()): Promise<LoadedLayout> {
    const read = new Map<string, ParsedProject>();
    for (const name of projects) {
      const project = this.tenant.projects.get(name);
      if (project !== undefined) read.set(name, await this.#read(project));
    }
    // Whatever another call read meanwhile stays.
    this.#projects = new Map([...this.#projects, ...read]);
    this.#loaded = buildLayout(this.tenant, ++this.#version, this.#inOrder(this.#projects));
    this.#proposed.clear();
    return this.#loaded;
  }

  /**
   * The layout that changes would make of what is merged. Nothing of it takes effect. Branches that are not loaded, and are not
   * to be loaded for their changes only, are passed over.
   * @throws Error Before anything was loaded.
   */
  propose(changes: readonly ChangedConfig[]): LoadedLayout {
    const loaded = this.#loaded;
    if (loaded === undefined) throw new Error("bug: no configuration is loaded");
    const wanted = changes.filter(({ project, branch }) => this.#counts(project, branch));
    if (wanted.length === 0) return loaded;
    const key = JSON.stringify(
      wanted
        .map(({ project, branch, files }) => [project, branch, digestOf(files)])
        .sort((a, b) => (a.join("\0") < b.join("\0") ? -1 : 1)),
    );
    const known = this.#proposed.find(key);
    if (known !== undefined) return known;
    const projects = new Map(this.#projects);
    for (const { project, branch, files } of wanted) {
      projects.set(project, this.#with(projects.get(project)!, branch, files));
    }
    return this.#proposed.keep(key, buildLayout(this.tenant, this.#version, this.#inOrder(projects)), 1);
  }

  #counts(project: string, branch: string): boolean {
    const loaded = this.#projects.get(project)?.project;
    return loaded !== undefined && (loaded.branches.includes(branch) || isDynamicBranch(loaded, branch));
  }

  #with(before: ParsedProject, branch: string, files: readonly ConfigFile[]): ParsedProject {
    const changed = this.#parse(before.project, branch, files);
    if (!before.project.branches.includes(branch)) {
      const project = { ...before.project, branches: [...before.project.branches, branch] };
      return { ...before, project, branches: [...before.branches, changed] };
    }
    return { ...before, branches: before.branches.map((one) => (one.branch === branch ? changed : one)) };
  }

  #inOrder(projects: ReadonlyMap<string, ParsedProject>): ParsedProject[] {
    return [...this.tenant.projects.keys()].flatMap((name) => projects.get(name) ?? []);
  }

  async #read(tenantProject: TenantProject): Promise<ParsedProject> {
    const { name, trusted, loadBranch } = tenantProject;
    const problems: ConfigProblem[] = [];
    const problem = (branch: string, message: string): void => {
      problems.push({ project: name, branch, file: "", line: null, message });
    };
    let branches: readonly string[] = [];
    try {
      branches = await this.#source.branches(name);
    } catch (error) {
      problem("", `project ${name} cannot be read: ${(error as Error).message}`);
    }
    const wanted = trusted
      ? branches.filter((branch, index) => (loadBranch === undefined ? index === 0 : branch === loadBranch))
      : branches.filter((branch) => loadsBranch(tenantProject, branch));
    if (loadBranch !== undefined && branches.length > 0 && wanted.length === 0) {
      problem(loadBranch, `load-branch: project ${name} has no branch ${loadBranch}`);
    }
    if (wanted.length > CONFIG_LIMITS.maxBranches) {
      const { maxBranches } = CONFIG_LIMITS;
      problem(
        "",
        `project ${name} has ${wanted.length} branches, of which the first ${maxBranches} are loaded`,
      );
    }
    const loaded = wanted.slice(0, CONFIG_LIMITS.maxBranches);
    const project: LoadedProject = { ...tenantProject, branches: loaded, defaultBranch: branches[0] ?? null };
    const parsed: ParsedBranch[] = [];
    for (const branch of loaded) {
      try {
        const files = await this.#source.files(name, branch, tenantProject.extraConfigPaths);
        parsed.push(this.#parse(project, branch, files));
      } catch (error) {
        problem(branch, `branch ${branch} of ${name} cannot be read: ${(error as Error).message}`);
      }
    }
    return { project, branches: parsed, problems };
  }

  #parse(
    { name, trusted, extraConfigPaths }: LoadedProject,
    branch: string,
    files: readonly ConfigFile[],
  ): ParsedBranch {
    const { chosen, refused } = chooseFiles(files, extraConfigPaths);
    return {
      branch,
      files: chosen.map(({ path, text }) => {
        const key = JSON.stringify([name, branch, path, trusted, hash([text])]);
        const parsed =
          this.#parsed.find(key) ??
          this.#parsed.keep(
            key,
            parseFile(text, { project: name, branch, file: path, trusted }),
            text.length,
          );
        return { path, parsed };
      }),
      problems: refused.map(({ path, message }) => ({ project: name, branch, file: path, line: 1, message })),
    };
  }
}

/** Of lists that were seen. */
const digests = new WeakMap<readonly ConfigFile[], string>();

function digestOf(files: readonly ConfigFile[]): string {
  let digest = digests.get(files);
  if (digest === undefined) {
    digest = hash(files.flatMap(({ path, text }) => [path, text]));
    digests.set(files, digest);
  }
  return digest;
}

function hash(texts: readonly string[]): string {
  const made = createHash("sha256");
  for (const text of texts) made.update(`${text.length}\0`).update(text);
  return made.digest("base64");
}

/**
 * The problems that a change is told of: those that the layout it is put on did not have, and all of its own branch. Whatever
 * else is wrong with the tenant is not its affair.
 */
export function problemsOfChange(
  proposed: LoadedLayout,
  before: LoadedLayout,
  places: readonly { readonly project: string; readonly branch: string | null }[],
): readonly ConfigProblem[] {
  const known = new Set(before.problems.map(identity));
  return proposed.problems.filter(
    (one) =>
      places.some(({ project, branch }) => one.project === project && one.branch === branch) ||
      !known.has(identity(one)),
  );
}

/**
 * Two problems are the same though lines were added or taken away, before them or before what they speak of, and though
 * another name has become the most like one that is not there.
 */
function identity({ project, branch, file, message }: ConfigProblem): string {
  return [project, branch, file, withoutSuggestion(message).replace(/:\d+(?=;|$)/g, "")].join("\0");
}
