import type { ConfigProblem } from "../core/index.ts";
import type { LoadedProject } from "./branches.ts";
import { buildLayout, type LoadedLayout, type ParsedBranch, type ParsedProject } from "./build.ts";
import { type ConfigFile, type ConfigSource, chooseFiles } from "./files.ts";
import { CONFIG_LIMITS } from "./limits.ts";
import type { ParsedFile } from "./model.ts";
import { parseFile } from "./parse.ts";
import { includesBranch, type Tenant, type TenantProject } from "./tenant.ts";

/** Files of configuration as a change would leave them. */
export interface ChangedConfig {
  readonly project: string;
  readonly branch: string;
  /** All files of configuration of that branch with the change merged, as `ConfigSource.files` would give them. */
  readonly files: readonly ConfigFile[];
}

/** The layout that a change would make, and those problems that are its own. */
export interface ValidatedChange {
  readonly layout: LoadedLayout["layout"];
  /** New ones, and all in the branch that it is for. */
  readonly problems: readonly ConfigProblem[];
}

/**
 * Loads a tenant's configuration, and again when a branch has changed. A file is parsed once for as long as its text stays the
 * same, so that a change of one file costs that file and putting all together.
 */
export class ConfigLoader {
  /** May be replaced by one of the same name, before it is loaded again. */
  tenant: Tenant;
  readonly #source: ConfigSource;
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
    return this.#loaded;
  }

  /**
   * What a change would make of the configuration. Nothing of it takes effect.
   * @throws Error Before anything was loaded.
   */
  validateChange(change: ChangedConfig): ValidatedChange {
    const loaded = this.#loaded;
    if (loaded === undefined) throw new Error("bug: no configuration is loaded");
    const before = this.#projects.get(change.project);
    if (before === undefined || !before.project.branches.includes(change.branch)) {
      return { layout: loaded.layout, problems: [] };
    }
    const old = before.branches.find(({ branch }) => branch === change.branch);
    const changed = this.#parse(before.project, change.branch, change.files, old);
    const after: ParsedProject = {
      ...before,
      branches: before.branches.map((one) => (one.branch === change.branch ? changed : one)),
    };
    const { layout, problems } = buildLayout(
      this.tenant,
      this.#version,
      this.#inOrder(new Map([...this.#projects, [change.project, after]])),
    );
    const known = new Set(loaded.problems.map(identity));
    return {
      layout,
      problems: problems.filter(
        (one) =>
          (one.project === change.project && one.branch === change.branch) || !known.has(identity(one)),
      ),
    };
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
      : branches.filter((branch) => includesBranch(tenantProject, branch));
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
    const before = this.#projects.get(name)?.branches;
    const parsed: ParsedBranch[] = [];
    for (const branch of loaded) {
      const old = before?.find((one) => one.branch === branch);
      try {
        const files = await this.#source.files(name, branch, tenantProject.extraConfigPaths);
        parsed.push(this.#parse(project, branch, files, old));
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
    before: ParsedBranch | undefined,
  ): ParsedBranch {
    const { chosen, refused } = chooseFiles(files, extraConfigPaths);
    return {
      branch,
      files: chosen.map(({ path, text }) => {
        const old = before?.files.find((one) => one.path === path)?.parsed;
        const isSame = old !== undefined && texts.get(old) === text;
        if (isSame) return { path, parsed: old };
        const parsed = parseFile(text, { project: name, branch, file: path, trusted });
        texts.set(parsed, text);
        return { path, parsed };
      }),
      problems: refused.map(({ path, message }) => ({ project: name, branch, file: path, line: 1, message })),
    };
  }
}

/** What a parsed file was parsed from. */
const texts = new WeakMap<ParsedFile, string>();

/** Two problems are the same though a line before them was added or taken away. */
function identity({ project, branch, file, message }: ConfigProblem): string {
  return [project, branch, file, message].join("\0");
}
