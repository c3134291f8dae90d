import { type FrozenJobDefinition, isPlaybook, type PhaseStep } from "../config/index.ts";
import type { GateEffect, Subject } from "../core/index.ts";
import type { BuildRequest } from "../executor/index.ts";
import { decrypted } from "../secrets/encrypt.ts";
import type { ProjectKeys } from "../secrets/keys.ts";
import { seal, secretsPurpose } from "../secrets/sealing.ts";
import type { BuildRow, FrozenBuildset, FrozenRepository } from "./build-table.ts";
import { branchOf, projectsOf } from "./job-repositories.ts";
import { providedArtifacts } from "./providers.ts";

/** The build that is asked for. */
type Wanted = Pick<
  Extract<GateEffect, { kind: "startBuild" }>,
  "build" | "pipeline" | "subject" | "job" | "attempt" | "buildset"
>;
type Json = NonNullable<BuildRequest["vars"]>[string];
type Variables = Record<string, Json>;

/** What the forge knows of a subject beside what the core does. */
export interface SubjectFacts {
  readonly number: number | null;
  readonly title: string;
  readonly owner: string | null;
  readonly message: string;
  readonly topic: string | null;
  readonly url: string | null;
}

interface Parts {
  readonly tenant: string;
  /** Names the build to the world: this gate's id and the build's number. */
  readonly buildName: string;
  readonly gitDir: (project: string) => string;
  readonly facts: (subject: Subject) => SubjectFacts;
  readonly postReview: boolean;
  /** Builds of the jobs that this one depends on, in the order of the graph. */
  readonly parents: readonly BuildRow[];
  /** Builds of changes ahead that provide what it requires. */
  readonly providers: readonly BuildRow[];
  readonly keys: ProjectKeys;
}

/** Why a build cannot even be asked for, in a sentence. */
export class BuildImpossible extends Error {
  override readonly name = "BuildImpossible";
}

/**
 * What an executor is asked for.
 * @throws BuildImpossible
 */
export function buildRequest(
  { build, pipeline, subject, job: nameThere, attempt, buildset }: Wanted,
  frozen: FrozenBuildset,
  parts: Parts,
): BuildRequest {
  const job = frozen.jobs[nameThere];
  if (job === undefined)
    throw new BuildImpossible(`there is no job ${nameThere} among those that were frozen`);
  if (job.impossible !== undefined) throw new BuildImpossible(job.impossible);
  const projects = [
    ...new Set([subject.project, ...frozen.chain.map((link) => link.project), ...projectsOf(job)]),
  ];
  const returned = parts.parents.map((parent) => (parent.outcome?.data.variables ?? {}) as Variables);
  const vars = [...returned, job.vars as Variables, job.extraVars as Variables].reduce(merged, {});
  const returnedSecrets = parts.parents.flatMap(({ outcome }) => outcome?.data.sealed ?? []);
  const steps = (list: readonly PhaseStep[]) =>
    list.map((step) => withSecrets(entryOf(step, subject, job, frozen), step, job, parts));
  return {
    build: parts.buildName,
    job: job.name,
    attempt,
    attempts: job.attempts,
    preRun: steps(job.preRun),
    run: steps(job.run),
    postRun: steps(job.postRun),
    timeoutMs: job.timeoutSec === null ? null : job.timeoutSec * 1000,
    ...(job.preTimeoutSec === null ? {} : { preTimeoutMs: job.preTimeoutSec * 1000 }),
    postTimeoutMs: job.postTimeoutSec === null ? null : job.postTimeoutSec * 1000,
    vars,
    ...([...job.preRun, ...job.run, ...job.postRun].some(isPlaybook)
      ? { inventory: inventoryOf(job, returned.reduce(merged, {})) }
      : {}),
    ...(returnedSecrets.length > 0 ? { returnedSecrets } : {}),
    network: job.network,
    // Not there in what was frozen by an older version.
    failureOutput: [...(job.failureOutput ?? [])],
    workspaceScheme: job.workspaceScheme,
    ...(job.workspaceCheckout === false ? { checksOut: false } : {}),
    project: subject.project,
    repositories: projects.map((project) => {
      const repository = frozen.repositories[project]!;
      return {
        project,
        repository: parts.gitDir(project),
        branches: repository.branches,
        before: repository.before,
        checkout: checkoutOf(project, subject, job, repository),
        required: job.requiredProjects.some((required) => required.name === project),
      };
    }),
    zuul: {
      ...zuulOf(subject, frozen, parts),
      pipeline,
      buildset: String(buildset),
      voting: job.voting,
      jobtags: [...job.tags],
      build_number: build,
    },
  };
}

function entryOf(
  step: PhaseStep,
  subject: Subject,
  job: FrozenJobDefinition,
  { repositories }: FrozenBuildset,
): BuildRequest["run"][number] {
  const { level } = step;
  if ("argv" in step) return { argv: [...step.argv], level };
  const { project, branch, trusted, path, roles = [] } = step;
  const tip = (name: string, on: string): string | undefined => {
    const repository = repositories[name]!;
    // Nobody's change may alter what a config-project has run before it has merged.
    return (trusted ? repository.merged[on] : undefined) ?? repository.branches[on];
  };
  const commit = tip(project, branch);
  if (commit === undefined)
    throw new BuildImpossible(`${project} has no branch ${branch} any more, where ${path} is`);
  if (!isPlaybook(step)) return { project, commit, path, level };
  return {
    ...{ project, commit, path, level, trusted },
    roles: roles.map((role) => {
      // Roles beside a playbook are those of its own branch.
      const on = role.project === project ? branch : branchOf(role.project, subject, job, repositories);
      const of = on === undefined ? undefined : tip(role.project, on);
      if (of === undefined) throw new BuildImpossible(`${role.project} has no branch to take roles from`);
      return { name: role.name, project: role.project, commit: of, implicit: role.implicit };
    }),
  };
}

/** Secrets leave the gate sealed: whoever sees the request elsewhere sees nothing of them. */
function withSecrets(
  entry: BuildRequest["run"][number],
  step: PhaseStep,
  job: FrozenJobDefinition,
  { keys, buildName }: Parts,
): BuildRequest["run"][number] {
  if (!("path" in entry) || step.secrets === undefined) return entry;
  const given = step.secrets.map(({ name, secret }) => {
    const { project, data } = job.secrets![secret]!;
    try {
      return [name, decrypted(keys.privateKey(project) ?? "", data)] as const;
    } catch {
      throw new BuildImpossible(
        `secret ${secret} was not encrypted for ${project} of this gate; encrypt it anew: drover gate encrypt --project ${project}`,
      );
    }
  });
  const secrets = seal(keys.sealingKey(), Object.fromEntries(given), secretsPurpose(buildName));
  return { ...entry, trusted: "path" in step && step.trusted, secrets };
}

function inventoryOf(job: FrozenJobDefinition, returned: Variables): NonNullable<BuildRequest["inventory"]> {
  return {
    returned,
    vars: job.vars as Variables,
    extraVars: job.extraVars as Variables,
    ...(job.untrustedVars === undefined ? {} : { untrusted: [...job.untrustedVars] }),
    nodes: job.nodes.flatMap(({ names, label }) => names.map((name) => ({ name, label }))),
    groups: job.groups.map(({ name, nodes }) => ({ name, nodes: [...nodes] })),
    hostVars: (job.hostVars ?? {}) as Record<string, Variables>,
    groupVars: (job.groupVars ?? {}) as Record<string, Variables>,
  };
}

/** As Zuul chooses: the override of the project, that of the job, the item's own ref, its branch, the default branch. */
function checkoutOf(
  project: string,
  subject: Subject,
  job: FrozenJobDefinition,
  { branches, defaultBranch }: FrozenRepository,
): string {
  const has = (branch: string | null | undefined): branch is string =>
    branch != null && Object.hasOwn(branches, branch);
  const override = job.requiredProjects.find(({ name }) => name === project)?.overrideCheckout;
  if (override != null) return override;
  if (has(job.overrideCheckout)) return job.overrideCheckout;
  if (subject.kind === "ref" && subject.project === project && subject.branch === null) {
    return subject.ref.replace(/^refs\/(?:tags|heads)\//, "");
  }
  if (has(subject.branch)) return subject.branch;
  if (has(defaultBranch)) return defaultBranch;
  throw new BuildImpossible(`${project} has neither the branch ${subject.branch} nor ${defaultBranch}`);
}

function zuulOf(
  subject: Subject,
  { chain }: FrozenBuildset,
  { tenant, facts, postReview, parents, providers }: Parts,
): Variables {
  const own = facts(subject);
  const common = {
    tenant,
    post_review: postReview,
    project: { name: subject.project, canonical_name: subject.project },
    branch: subject.branch,
    items: chain.map((link) => ({
      project: { name: link.project, canonical_name: link.project },
      branch: link.branch,
      change: link.change.replace(/^.*:/, ""),
      patchset: String(link.revision),
      commit_id: link.commit,
    })),
    artifacts: [
      ...providedArtifacts(providers),
      ...parents.flatMap(({ job, outcome }) =>
        (outcome?.artifacts ?? []).map(({ name, sha256 }) =>
          sha256 === undefined ? { job, name } : { job, name, sha256 },
        ),
      ),
    ],
  };
  if (subject.kind === "ref") {
    const { ref, oldCommit, newCommit } = subject;
    const tag = ref.startsWith("refs/tags/") ? { tag: ref.slice("refs/tags/".length) } : {};
    return { ...common, ref, ...tag, oldrev: oldCommit, newrev: newCommit, commit_id: newCommit };
  }
  return {
    ...common,
    ref: `refs/changes/${own.number}/${subject.revision}`,
    change: String(own.number),
    patchset: String(subject.revision),
    change_url: own.url,
    message: own.message,
    topic: own.topic,
    commit_id: subject.commit,
  };
}

/** The second on top of the first, maps within maps. */
function merged(base: Variables, top: Variables): Variables {
  const result: Variables = { ...base };
  for (const [name, value] of Object.entries(top)) {
    const below = result[name];
    // Names come from files and jobs: one of them may be `__proto__`.
    Object.defineProperty(result, name, {
      value: isMap(below) && isMap(value) ? merged(below, value) : value,
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
  return result;
}

function isMap(value: Json | undefined): value is Variables {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
