import { stringify } from "yaml";
import type { ConfigFile } from "./files.ts";

/* What `drover gate init` writes: a configuration to begin with, which is complete as it stands. */

/** The tenant file. Names must be plain words, as `drover gate project add` accepts them. */
export function starterTenantFile(
  tenant: string,
  configProject: string,
  untrustedProjects: readonly string[],
  selfApproval = false,
): string {
  const list = (names: readonly string[]): string =>
    names.map((name) => `          - ${word(name)}\n`).join("");
  return `# Which projects the gate knows. What is tested and how, the projects say themselves, in zuul.yaml.
- tenant:
    name: ${word(tenant)}
    # Whether who proposes a change may approve it, too.
    self-approval: ${selfApproval}
    source:
      local:
        # Trusted: pipelines and base jobs stand there.
        config-projects:
${list([configProject])}${untrustedProjects.length === 0 ? "" : `        untrusted-projects:\n${list(untrustedProjects)}`}`;
}

/** Quoted where YAML 1.1 would take it for something else than text. */
function word(text: string): string {
  return stringify(text, { version: "1.1" }).trimEnd();
}

const PIPELINES = `# The pipelines that a change goes through.

- pipeline:
    name: check
    description: Tests each revision of a change as if it and what it depends on were merged now, and votes.
    manager: independent
    trigger:
      local:
        - event: change-created
        - event: comment
          comment: (?i)^\\s*recheck\\s*$
    require:
      local:
        open: true
        current-revision: true
    success:
      local:
        vote: 1
    failure:
      local:
        vote: -1

- pipeline:
    name: gate
    description: Tests approved changes in the order in which they will be merged, and merges what passed.
    manager: dependent
    precedence: high
    post-review: true
    supercedes: check
    trigger:
      local:
        - event: approved
        - event: comment
          comment: (?i)^\\s*regate\\s*$
    require:
      local:
        open: true
        current-revision: true
        approved: true
    start:
      local:
        vote: 0
    success:
      local:
        vote: 1
        merge: true
    failure:
      local:
        vote: -1

- pipeline:
    name: post
    description: Runs after a branch has moved, such as to publish what was merged.
    manager: independent
    precedence: low
    post-review: true
    trigger:
      local:
        - event: ref-updated
          ref: ^refs/heads/
`;

const JOBS = `# What every job begins with. A job that names no parent has this one.

- job:
    name: base
    parent: null
    abstract: true
    description: The parent of all jobs.
    timeout: 1800
    attempts: 3
    # What has succeeded on equal files is not run again. A job whose result depends on more than its files and the
    # system says on what ('inputs'), or has 'reuse: false'.
    reuse: true
`;

const PROJECTS = `# What every repository is gated with, also before it has jobs of its own: \`noop\` always succeeds, and configuration
# is checked without a job.

- project:
    name: ^.*$
    check:
      jobs:
        - noop
    gate:
      jobs:
        - noop
`;

/** Files of the config-project, on its default branch. */
export const STARTER_CONFIG_FILES: readonly ConfigFile[] = [
  { path: "zuul.d/jobs.yaml", text: JOBS },
  { path: "zuul.d/pipelines.yaml", text: PIPELINES },
  { path: "zuul.d/projects.yaml", text: PROJECTS },
];

/** `zuul.yaml` of a project: one job, which runs one command in it. */
export function starterProjectFile(job: string, argv: readonly string[]): string {
  return `# What is run for each change of this repository.
- job:
    name: ${job}
    command: ${JSON.stringify(argv)}

- project:
    check:
      jobs:
        - ${job}
    gate:
      jobs:
        - ${job}
`;
}
