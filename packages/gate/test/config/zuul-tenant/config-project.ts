/* The config-project of a tenant as Zuul has them: pipelines, a base job, and what every project gets. */

export const TENANT = (services: readonly string[]): string => `
- tenant:
    name: cloud
    max-nodes-per-job: 6
    max-job-timeout: 14400
    source:
      local:
        config-projects:
          - project-config
        untrusted-projects:
          - zuul-jobs:
              include: [job, nodeset, project-template]
          - integration
          - include: [job, project, project-template, queue, nodeset]
            projects:
${services.map((name) => `              - ${name}\n`).join("")}`;

export const PROJECT_CONFIG: Readonly<Record<string, string>> = {
  "zuul.d/pipelines.yaml": `
- pipeline:
    name: check
    description: Newly uploaded revisions enter here.
    manager: independent
    trigger:
      local:
        - event: change-created
        - event: comment
          comment: (?i)^\\s*recheck\\s*$
    require:
      local: {open: true, current-revision: true}
    success:
      local: {vote: 1}
    failure:
      local: {vote: -1}
- pipeline:
    name: gate
    description: Approved changes are tested and merged.
    manager: dependent
    precedence: high
    supercedes: check
    post-review: true
    window-floor: 20
    trigger:
      local:
        - event: approved
    require:
      local: {open: true, current-revision: true, approved: true}
    success:
      local: {vote: 1, merge: true}
    failure:
      local: {vote: -1}
- pipeline:
    name: post
    manager: independent
    precedence: low
    post-review: true
    trigger:
      local:
        - event: ref-updated
          ref: ^refs/heads/
- pipeline:
    name: release
    manager: independent
    precedence: high
    post-review: true
    trigger:
      local:
        - event: ref-updated
          ref: ^refs/tags/
`,
  "zuul.d/jobs.yaml": `
- job:
    name: base
    parent: null
    description: The root of all jobs.
    abstract: true
    timeout: 1800
    attempts: 3
    pre-run: playbooks/base/pre.yaml
    post-run:
      - playbooks/base/post.yaml
      - playbooks/base/post-logs.yaml
    vars:
      mirror: {host: mirror.example.org, port: 8080}
      log_level: info
    nodeset: ubuntu-jammy

- job:
    name: publish-artifact
    description: Publishes; only after review, and only for those who may.
    parent: base
    abstract: true
    post-review: true
    timeout: 900
    pre-run: playbooks/publish/pre.yaml
    run: playbooks/publish/run.yaml

- job:
    name: publish-signed
    description: Nobody else may make another job of it.
    parent: publish-artifact
    protected: true

- job:
    name: propose-updates
    description: As it is, and not otherwise.
    parent: base
    final: true
    allowed-projects: [identity, compute]
    run: playbooks/propose/run.yaml
`,
  "zuul.d/projects.yaml": `
- project-template:
    name: system-required
    check:
      jobs: [noop]
    gate:
      jobs: [noop]
- project:
    name: ^.*$
    templates: [system-required]
    vars: {organization: cloud}
- project:
    name: project-config
    check:
      jobs: [yaml-lint]
`,
};
