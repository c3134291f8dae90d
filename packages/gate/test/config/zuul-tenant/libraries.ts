/* Projects that define jobs for others. */

const PYTHONS = ["3.8", "3.9", "3.10", "3.11", "3.12"];
const LANGUAGES = ["go", "npm", "rust", "java"];

const tox = (python: string): string => `
- job:
    name: tox-py${python.replace(".", "")}
    parent: tox
    description: Unit tests under Python ${python}.
    vars:
      tox_envlist: py${python.replace(".", "")}
      python_version: "${python}"
`;

const language = (name: string): string => `
- job:
    name: ${name}-build
    parent: unittests
    pre-run: playbooks/${name}/pre.yaml
    run: playbooks/${name}/build.yaml
- job:
    name: ${name}-test
    parent: ${name}-build
    run: playbooks/${name}/test.yaml
- job:
    name: ${name}-lint
    parent: ${name}-build
    timeout: 600
    run: playbooks/${name}/lint.yaml
`;

export const ZUUL_JOBS: Readonly<Record<string, string>> = {
  "zuul.d/nodesets.yaml": `
- nodeset:
    name: ubuntu-jammy
    nodes: {name: ubuntu-jammy, label: ubuntu-jammy}
- nodeset:
    name: ubuntu-jammy-2-node
    nodes:
      - {name: controller, label: ubuntu-jammy}
      - {name: compute1, label: ubuntu-jammy}
    groups:
      - {name: switch, nodes: [controller]}
      - {name: peers, nodes: [compute1]}
- nodeset:
    name: debian-bookworm
    nodes: [{name: debian-bookworm, label: debian-bookworm}]
`,
  "zuul.d/jobs.yaml": `
- job:
    name: unittests
    description: A basis of unit tests.
    pre-run: playbooks/unittests/pre.yaml
    post-run: playbooks/unittests/post.yaml
    vars: {log_level: debug}
- job:
    name: yaml-lint
    files: ['^.*\\.ya?ml$']
    run: playbooks/yaml-lint/run.yaml
    voting: false
`,
  "zuul.d/python-jobs.yaml": `
- job:
    name: tox
    parent: unittests
    pre-run: playbooks/tox/pre.yaml
    run: playbooks/tox/run.yaml
    post-run: playbooks/tox/post.yaml
    vars: {tox_envlist: ALL}
${PYTHONS.map(tox).join("")}
- job:
    name: tox-docs
    parent: tox
    files: [^docs/, ^README]
    vars: {tox_envlist: docs}
- job:
    name: tox-linters
    parent: tox
    timeout: 600
    attempts: 1
    vars: {tox_envlist: linters, mirror: {port: 8443}}
`,
  "zuul.d/languages.yaml": LANGUAGES.map(language).join(""),
  "zuul.d/templates.yaml": `
- project-template:
    name: python-jobs
    check:
      jobs:
        - tox-linters
        - tox-py311
        - tox-docs
    gate:
      jobs:
        - tox-linters
        - tox-py311
- project-template:
    name: go-jobs
    check: {jobs: [go-lint, go-test]}
    gate: {jobs: [go-lint, go-test]}
`,
};

export const INTEGRATION: Readonly<Record<string, string>> = {
  ".zuul.yaml": `
- queue: {name: integrated}

- job:
    name: cloud-base
    abstract: true
    intermediate: true
    description: A cloud of one node or more.
    timeout: 7200
    required-projects: [integration, identity, compute, image]
    pre-run: playbooks/cloud/pre.yaml
    post-run: playbooks/cloud/post.yaml
    vars:
      cloud: {services: {identity: true, compute: true, image: true}, debug: false}
    irrelevant-files: [^docs/, '^.*\\.md$', ^tests/unit/]
- job:
    name: functional-base
    parent: cloud-base
    abstract: true
    run: playbooks/functional/run.yaml
- job:
    name: functional
    parent: functional-base
    tags: [smoke]
- job:
    name: functional-multinode
    parent: functional
    nodeset: ubuntu-jammy-2-node
    timeout: 10800
    voting: false
    tags: [multinode]
    vars: {cloud: {services: {compute: false}}}

- project-template:
    name: integrated-gate
    queue: integrated
    check:
      jobs:
        - functional
        - functional-multinode
    gate:
      fail-fast: true
      jobs:
        - functional

- project:
    templates: [integrated-gate]
    release:
      jobs: [propose-updates]
`,
};
