import {
  type ConfigFile,
  ConfigLoader,
  type ConfigSource,
  parseTenants,
  type Tenant,
} from "../../src/index.ts";

/** Texts by project, branch and path. */
export type Repositories = Record<string, Record<string, Record<string, string>>>;

export const filesOf = (texts: Record<string, string>): ConfigFile[] =>
  Object.entries(texts).map(([path, text]) => ({ path, text }));

/** A source of configuration that is there at once. Each project's first branch is its default. */
export function memorySource(repositories: Repositories): ConfigSource {
  const project = (name: string): Record<string, Record<string, string>> => {
    const found = repositories[name];
    if (found === undefined) throw new Error(`there is no repository ${name}`);
    return found;
  };
  return {
    branches: async (name) => Object.keys(project(name)),
    files: async (name, branch) => filesOf(project(name)[branch] ?? {}),
  };
}

export function tenantOf(text: string): Tenant {
  const { tenants, problems } = parseTenants(text);
  if (problems.length > 0) throw new Error(JSON.stringify(problems));
  return tenants[0]!;
}

/** A tenant whose config-project is `config`, and all others untrusted. */
export function plainTenant(repositories: Repositories, more = ""): Tenant {
  const untrusted = Object.keys(repositories).filter((name) => name !== "config");
  return tenantOf(
    `- tenant:\n    name: main\n${more}    source:\n      local:\n        config-projects: [config]\n` +
      `        untrusted-projects: [${untrusted.join(", ")}]\n`,
  );
}

export async function load(repositories: Repositories, tenant = plainTenant(repositories)) {
  const loader = new ConfigLoader(tenant, memorySource(repositories));
  const { layout, problems } = await loader.load();
  return { loader, layout, problems, told: problems.map(tell) };
}

export function tell({
  project,
  branch,
  file,
  line,
  message,
}: {
  project: string;
  branch: string;
  file: string;
  line: number | null;
  message: string;
}): string {
  return `${project} ${branch} ${file}:${line} ${message}`;
}

/** Pipelines and a base job, which most configurations need. */
export const BASE = `
- pipeline:
    name: check
    manager: independent
    trigger:
      local:
        - event: change-created
    success:
      local: {vote: 1}
    failure:
      local: {vote: -1}
- pipeline:
    name: gate
    manager: dependent
    post-review: true
    trigger:
      local:
        - event: approved
    success:
      local: {merge: true}
- job:
    name: base
    parent: null
    abstract: true
`;

/** Of a change. */
export const change = (project: string, branch = "main", files: readonly string[] | null = ["README"]) => ({
  project,
  branch,
  files,
});
