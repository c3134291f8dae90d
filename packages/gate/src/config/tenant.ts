import { FileCheck } from "./check.ts";
import { parseConnection, type ReportConnection } from "./connections.ts";
import { type ConfigItem, capped, type FileProblem, isObject, readItems } from "./items.ts";
import { suggestion } from "./nearest.ts";
import type { Regex } from "./regex.ts";
import {
  configProjectSchema,
  projectGroupSchema,
  sourceSchema,
  tenantSchema,
  untrustedProjectSchema,
} from "./schema.ts";
import { UNBUILT_DRIVERS, UNBUILT_TENANT, UNBUILT_TENANT_PROJECT } from "./unbuilt.ts";

/** A project as its tenant has it. */
export interface TenantProject {
  readonly name: string;
  /** A config-project: what it says is read from one branch, and may define pipelines and base jobs. */
  readonly trusted: boolean;
  /** Kinds of items that are loaded from it; others in its files are passed over. */
  readonly kinds: ReadonlySet<string>;
  /** Jobs that these projects define already are passed over in this one. */
  readonly shadow: readonly string[];
  readonly extraConfigPaths: readonly string[];
  /** Config-projects only. Default: the default branch. */
  readonly loadBranch: string | undefined;
  readonly includeBranches: readonly Regex[] | undefined;
  readonly excludeBranches: readonly Regex[];
  /** Branches whose configuration counts for their changes alone. */
  readonly dynamicBranches: readonly Regex[];
  readonly impliedBranchMatchers: boolean | undefined;
  /** Untrusted projects only: others whose `project` items it may write. */
  readonly configureProjects: readonly Regex[];
}

export interface Tenant {
  readonly name: string;
  /** In the order in which they are loaded: config-projects first. */
  readonly projects: ReadonlyMap<string, TenantProject>;
  /** The parent of jobs that name none. Default: `base`. */
  readonly defaultParent: string;
  /** Changes that are not merged yet and that one may need, directly or not. Default: `null`, as many as the gate allows. */
  readonly maxDependencies: number | null;
  /** Default: 5. `null`: no limit. */
  readonly maxNodesPerJob: number | null;
  /** Seconds. Default: 10800. `null`: no limit. */
  readonly maxJobTimeout: number | null;
  /** Of all items of a pipeline. Default: no limit but the gate's own. */
  readonly maxChangesPerPipeline: number | undefined;
  readonly allowedTriggers: readonly string[] | undefined;
  readonly allowedReporters: readonly string[] | undefined;
  readonly allowedLabels: readonly Regex[] | undefined;
  readonly disallowedLabels: readonly Regex[];
  /** Whether the owner of a change may approve it. Not in Zuul. Default: false. */
  readonly selfApproval: boolean;
  /** Whether a revision that only moves a change to another base keeps its approvals. Not in Zuul. Default: false. */
  readonly keepApprovals: boolean;
  /** Where reports go besides the forge, by name. `undefined`: it is not known which there are. */
  readonly connections: ReadonlyMap<string, ReportConnection> | undefined;
}

const ALL_KINDS = [
  "pipeline",
  "job",
  "semaphore",
  "project",
  "secret",
  "project-template",
  "nodeset",
  "queue",
];

/**
 * Reads the tenant file: Zuul's list of `tenant:`, with the source `local` and tenants by their names. A tenant that is wrong is
 * left out, and told.
 */
export function parseTenants(text: string): {
  tenants: readonly Tenant[];
  problems: readonly FileProblem[];
} {
  const { items, problems } = readItems(text);
  const check = new FileCheck();
  const tenants: Tenant[] = [];
  // Of the file, wherever they stand in it.
  const connections = new Map<string, ReportConnection>();
  for (const item of items) {
    if (item.kind === "connection") {
      const made = parseConnection(check, item);
      if (made === undefined) continue;
      if (connections.has(made.name)) check.add(item, ["name"], `there are two connections ${made.name}`);
      else connections.set(made.name, made);
      continue;
    }
    if (item.kind !== "tenant") {
      const isZuul = ["admin-rule", "authorization-rule", "global-semaphore", "api-root"].includes(item.kind);
      check.add(
        item,
        [],
        isZuul
          ? `${item.kind} is not built yet`
          : `there is no item ${JSON.stringify(item.kind)} in a tenant file${suggestion(item.kind, ["tenant", "connection"])}`,
      );
      continue;
    }
    const tenant = parseTenant(check, item, connections);
    if (tenant === undefined) continue;
    if (tenants.some(({ name }) => name === tenant.name)) {
      check.add(item, ["name"], `there are two tenants ${tenant.name}`);
    } else tenants.push(tenant);
  }
  return { tenants, problems: capped([...problems, ...check.problems].toSorted((a, b) => a.line - b.line)) };
}

function parseTenant(
  check: FileCheck,
  item: ConfigItem,
  connections: ReadonlyMap<string, ReportConnection>,
): Tenant | undefined {
  const before = check.problems.length;
  const written = check.shape(item, [], item.value, tenantSchema, UNBUILT_TENANT);
  if (written === undefined) return undefined;
  const projects = new Map<string, TenantProject>();
  for (const [driver, value] of Object.entries(written.source ?? {})) {
    const path = ["source", driver];
    if (driver !== "local") {
      check.add(
        item,
        path,
        UNBUILT_DRIVERS.includes(driver)
          ? `source: the driver ${driver} is not built yet; local is`
          : `source: there is no driver ${driver}${suggestion(driver, ["local"])}`,
      );
      continue;
    }
    const source = check.shape(item, path, value, sourceSchema);
    for (const key of ["config-projects", "untrusted-projects"] as const) {
      for (const [index, one] of (source?.[key] ?? []).entries()) {
        const at = [...path, key, index];
        for (const project of projectsOf(check, item, at, one, key === "config-projects", ALL_KINDS)) {
          if (projects.has(project.name))
            check.add(item, at, `the project ${project.name} stands here twice`);
          else projects.set(project.name, project);
        }
      }
    }
  }
  for (const project of projects.values()) {
    for (const name of project.shadow) {
      if (!projects.has(name)) {
        const near = suggestion(name, projects.keys());
        check.add(
          item,
          ["source", "local"],
          `shadow: ${project.name} shadows ${name}, which is no project here${near}`,
        );
      }
    }
    for (const other of projects.values()) {
      if (other.trusted && project.configureProjects.some((regex) => regex.matches(other.name))) {
        check.add(
          item,
          ["source", "local"],
          `configure-projects: the untrusted project ${project.name} may not configure the config-project ${other.name}`,
        );
      }
    }
  }
  const regexes = (key: "allowed-labels" | "disallowed-labels"): readonly Regex[] | undefined =>
    written[key] === undefined ? undefined : check.regexes(item, [key], written[key]);
  const allowedLabels = regexes("allowed-labels");
  const disallowedLabels = regexes("disallowed-labels") ?? [];
  if (check.problems.length > before) return undefined;
  const limit = (value: number): number | null => (value < 0 ? null : value);
  return {
    name: written.name,
    projects,
    defaultParent: written["default-parent"] ?? "base",
    maxDependencies: limit(written["max-dependencies"] ?? -1),
    maxNodesPerJob: limit(written["max-nodes-per-job"] ?? 5),
    maxJobTimeout: limit(written["max-job-timeout"] ?? 10_800),
    maxChangesPerPipeline: written["max-changes-per-pipeline"],
    allowedTriggers: written["allowed-triggers"],
    allowedReporters: written["allowed-reporters"],
    allowedLabels,
    disallowedLabels,
    selfApproval: written["self-approval"] ?? false,
    keepApprovals: written["keep-approvals-on-trivial-rebase"] ?? false,
    connections,
  };
}

/** A name, a map from a name to attributes, or a group of either with what is included of all. */
function projectsOf(
  check: FileCheck,
  item: ConfigItem,
  path: readonly PropertyKey[],
  value: unknown,
  trusted: boolean,
  kinds: readonly string[],
): TenantProject[] {
  if (typeof value === "string") return [project(check, item, path, value, {}, trusted, kinds)].flat();
  if (!isObject(value)) {
    const isTaken = ["boolean", "number"].includes(typeof value) || value === null;
    check.add(
      item,
      path,
      isTaken
        ? `YAML takes this for ${value}; a project's name has to be quoted then`
        : "a project is its name, a map from its name to attributes, or a group with `projects`",
    );
    return [];
  }
  const keys = Object.keys(value);
  if (keys.includes("projects") && (keys.length > 1 || Array.isArray(value.projects))) {
    const group = check.shape(item, path, value, projectGroupSchema);
    if (group === undefined) return [];
    const left = (group.include ?? kinds).filter((kind) => !(group.exclude ?? []).includes(kind as never));
    return group.projects.flatMap((one, index) => {
      const inner = [...path, "projects", index];
      if (!isObject(one) || !("projects" in one)) return projectsOf(check, item, inner, one, trusted, left);
      check.add(item, inner, "a group holds no groups");
      return [];
    });
  }
  const [entry, ...more] = Object.entries(value);
  if (entry === undefined || more.length > 0) {
    check.add(item, path, "a project with attributes is a map from one name to them");
    return [];
  }
  return [project(check, item, [...path, entry[0]], entry[0], entry[1] ?? {}, trusted, kinds)].flat();
}

function project(
  check: FileCheck,
  item: ConfigItem,
  path: readonly PropertyKey[],
  name: string,
  value: unknown,
  trusted: boolean,
  kinds: readonly string[],
): TenantProject | [] {
  const written = check.shape(
    item,
    path,
    value,
    trusted ? configProjectSchema : untrustedProjectSchema,
    UNBUILT_TENANT_PROJECT,
  );
  if (written === undefined) return [];
  if (!trusted && written["load-branch"] !== undefined) {
    check.add(
      item,
      [...path, "load-branch"],
      "load-branch: an untrusted project is loaded from each of its branches",
    );
  }
  if (trusted && written["always-dynamic-branches"] !== undefined) {
    check.add(
      item,
      [...path, "always-dynamic-branches"],
      "always-dynamic-branches: a config-project is loaded from one branch only",
    );
  }
  for (const [index, one] of (written["extra-config-paths"] ?? []).entries()) {
    if (one.startsWith("/") || one.split("/").includes("..")) {
      check.add(item, [...path, "extra-config-paths", index], `${one} is no path within the repository`);
    }
  }
  const regexes = (key: string, list: readonly string[] | undefined): readonly Regex[] | undefined =>
    list === undefined ? undefined : check.regexes(item, [...path, key], list);
  const configure =
    "configure-projects" in written ? (written["configure-projects"] as string[] | undefined) : undefined;
  return {
    name,
    trusted,
    kinds: new Set(
      (written.include ?? kinds).filter((kind) => !(written.exclude ?? []).includes(kind as never)),
    ),
    shadow: written.shadow ?? [],
    extraConfigPaths: written["extra-config-paths"] ?? [],
    loadBranch: written["load-branch"],
    includeBranches: regexes("include-branches", written["include-branches"]),
    excludeBranches: regexes("exclude-branches", written["exclude-branches"]) ?? [],
    dynamicBranches: regexes("always-dynamic-branches", written["always-dynamic-branches"]) ?? [],
    impliedBranchMatchers: written["implied-branch-matchers"],
    configureProjects: regexes("configure-projects", configure) ?? [],
  };
}

/** Whether the tenant has this branch of the project. */
export function includesBranch(project: TenantProject, branch: string): boolean {
  return loadsBranch(project, branch) || isDynamicBranch(project, branch);
}

/** Whether the configuration that is merged on this branch counts. Of a config-project one branch does. */
export function loadsBranch(project: TenantProject, branch: string): boolean {
  const { trusted, includeBranches, excludeBranches, dynamicBranches } = project;
  if (trusted) return true;
  if (includeBranches !== undefined) return includeBranches.some((regex) => regex.matches(branch));
  return ![...excludeBranches, ...dynamicBranches].some((regex) => regex.matches(branch));
}

/** Whether a branch's configuration is read for each change of it, and for nothing else. */
export function isDynamicBranch(project: TenantProject, branch: string): boolean {
  return project.dynamicBranches.some((regex) => regex.matches(branch)) && !loadsBranch(project, branch);
}
