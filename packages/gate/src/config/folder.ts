import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import type { ConfigProblem } from "../core/index.ts";
import { git, gitLine } from "../git/git.ts";
import { buildLayout } from "./build.ts";
import { CONFIG_ROOTS, type ConfigFile, type ConfigSource, chooseFiles, isConfigPath } from "./files.ts";
import type { Layout } from "./layout.ts";
import { ConfigLoader } from "./loader.ts";
import type { ParsedFile } from "./model.ts";
import { parseFile } from "./parse.ts";
import { parseTenants, type Tenant } from "./tenant.ts";

export interface FolderCheck {
  /** `gate`: a gate's folder, whole; `work tree`: one repository, by itself. */
  readonly kind: "gate" | "work tree" | "nothing";
  readonly problems: readonly ConfigProblem[];
  /** One for each tenant; of a work tree none, since a repository alone is no configuration. */
  readonly layouts: readonly Layout[];
  /** Files of configuration that were read. */
  readonly files: number;
}

const TENANT_FILE = "gate.yaml";

/**
 * Checks a configuration where nothing runs.
 *
 * A folder with `gate.yaml` is a gate's: all of it is checked, as the bare repositories below `repositories/` have it merged.
 * Any other folder is taken as the work tree of one repository, with what is in it at this moment, committed or not: its own
 * faults are found, but not names of jobs, pipelines or projects that are not in it, since others may define them. It is
 * checked as a config-project when it defines a pipeline or a base job, else as an untrusted one.
 * @param repositories Of a gate's folder: where its bare repositories are, `NAME.git` each. Default: `repositories`.
 */
export async function checkConfigFolder(
  dir: string,
  repositories = join(dir, "repositories"),
): Promise<FolderCheck> {
  if (existsSync(join(dir, TENANT_FILE))) return checkGate(dir, repositories);
  const files = await workTreeFiles(dir);
  if (files.length > 0) return checkWorkTree(basename(resolve(dir)), files);
  const message = `there is neither ${TENANT_FILE} nor ${CONFIG_ROOTS.join(", ")} in ${dir}`;
  return {
    kind: "nothing",
    layouts: [],
    files: 0,
    problems: [{ project: "", branch: "", file: "", line: null, message }],
  };
}

async function checkGate(dir: string, repositories: string): Promise<FolderCheck> {
  const { tenants, problems } = parseTenants(await readFile(join(dir, TENANT_FILE), "utf8"));
  const all: ConfigProblem[] = problems.map(({ line, message }) => ({
    project: "",
    branch: "",
    file: TENANT_FILE,
    line,
    message,
  }));
  const source = new BareRepositories(repositories);
  const layouts: Layout[] = [];
  for (const tenant of tenants) {
    const loaded = await new ConfigLoader(tenant, source).load();
    layouts.push(loaded.layout);
    all.push(...loaded.problems);
  }
  return { kind: "gate", problems: all, layouts, files: source.filesRead };
}

async function workTreeFiles(dir: string): Promise<readonly ConfigFile[]> {
  const paths: string[] = [];
  for (const root of CONFIG_ROOTS) {
    if (!root.endsWith("/")) paths.push(root);
    else if (existsSync(join(dir, root))) {
      for (const path of await readdir(join(dir, root), { recursive: true })) paths.push(`${root}${path}`);
    }
  }
  const wanted = paths.filter((path) => isConfigPath(path) && existsSync(join(dir, path)));
  return Promise.all(wanted.map(async (path) => ({ path, text: await readFile(join(dir, path), "utf8") })));
}

/** Whether a work tree is one of a config-project: whether its files define a pipeline or a base job. */
export async function definesPipelines(dir: string): Promise<boolean> {
  const name = basename(resolve(dir));
  const { chosen } = chooseFiles(await workTreeFiles(dir));
  return chosen.some(({ path, text }) =>
    isTrustedFile(parseFile(text, { project: name, branch: "main", file: path, trusted: false })),
  );
}

function isTrustedFile({ pipelines, jobs }: ParsedFile): boolean {
  return pipelines.length > 0 || jobs.some(({ parent }) => parent === null);
}

function checkWorkTree(name: string, files: readonly ConfigFile[]): FolderCheck {
  const branch = "main";
  const { chosen, refused } = chooseFiles(files);
  const parse = (trusted: boolean) =>
    chosen.map(({ path, text }) => ({
      path,
      parsed: parseFile(text, { project: name, branch, file: path, trusted }),
    }));
  const untrusted = parse(false);
  const trusted = untrusted.some(({ parsed }) => isTrustedFile(parsed));
  const tenant = tenantOfOne(name, trusted);
  const project = { ...tenant.projects.get(name)!, branches: [branch], defaultBranch: branch };
  const { problems, unresolved } = buildLayout(tenant, 1, [
    {
      project,
      problems: refused.map(({ path, message }) => ({ project: name, branch, file: path, line: 1, message })),
      branches: [{ branch, files: trusted ? parse(true) : untrusted, problems: [] }],
    },
  ]);
  return {
    kind: "work tree",
    problems: problems.filter((one) => !unresolved.has(one)),
    layouts: [],
    files: chosen.length,
  };
}

function tenantOfOne(name: string, trusted: boolean): Tenant {
  const list = trusted ? "config-projects" : "untrusted-projects";
  const text = `- tenant: {name: check, source: {local: {${list}: [${JSON.stringify(name)}]}}}`;
  return { ...parseTenants(text).tenants[0]!, connections: undefined };
}

/** Reads from bare repositories with git alone. */
class BareRepositories implements ConfigSource {
  readonly #dir: string;
  filesRead = 0;

  constructor(dir: string) {
    this.#dir = dir;
  }

  async branches(project: string): Promise<readonly string[]> {
    const gitDir = this.#gitDir(project);
    const head = await gitLine(["symbolic-ref", "--short", "HEAD"], { gitDir });
    const listed = await gitLine(["for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads"], { gitDir });
    const names = listed === "" ? [] : listed.split("\n");
    return [...names.filter((name) => name === head), ...names.filter((name) => name !== head)];
  }

  async files(
    project: string,
    branch: string,
    extraPaths: readonly string[],
  ): Promise<readonly ConfigFile[]> {
    const gitDir = this.#gitDir(project);
    const roots = [...CONFIG_ROOTS, ...extraPaths].map((path) => path.replace(/\/$/, ""));
    const { stdout } = await git(["ls-tree", "-r", "-z", `refs/heads/${branch}`, "--", ...roots], { gitDir });
    const files: ConfigFile[] = [];
    for (const entry of stdout.toString().split("\0")) {
      const [, kind, id, path] = /^\d+ (\w+) ([0-9a-f]+)\t(.*)$/s.exec(entry) ?? [];
      if (kind !== "blob" || !isConfigPath(path!, extraPaths)) continue;
      const blob = await git(["cat-file", "blob", id!], { gitDir });
      files.push({ path: path!, text: blob.stdout.toString() });
    }
    this.filesRead += files.length;
    return files;
  }

  #gitDir(project: string): string {
    const gitDir = join(this.#dir, `${project}.git`);
    if (!existsSync(gitDir))
      throw new Error(`there is no repository ${gitDir}; drover gate project import brings one`);
    return gitDir;
  }
}
