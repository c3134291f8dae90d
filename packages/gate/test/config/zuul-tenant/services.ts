/* Projects that are tested: two written out, the others as like each other as such projects are. */

export const SERVICES: readonly string[] = [
  ...["identity", "compute", "network", "image", "volume", "dns", "object", "metrics", "billing"],
  ...["console", "registry", "scheduler", "telemetry", "orchestrator", "backup", "gateway", "catalog"],
];

/** Has variants by branch, on the branches themselves and by matchers. */
const IDENTITY_MAIN = `
- job:
    name: identity-functional
    parent: functional
    required-projects: [gateway]
    timeout: 5400
    vars: {cloud: {services: {gateway: true}}, backend: sql}
- job:
    name: identity-functional-ldap
    parent: identity-functional
    nodeset:
      nodes:
        - {name: controller, label: ubuntu-jammy}
        - {name: [ldap1, ldap2], label: debian-bookworm}
      groups:
        - {name: directory, nodes: [ldap1, ldap2]}
    vars: {backend: ldap}
- job:
    name: identity-upgrade
    parent: identity-functional
    branches:
      - regex: ^stable/
        negate: true
    voting: false
- job:
    name: identity-migrations
    parent: tox
    files: [^identity/db/, ^setup.cfg$]
    vars: {tox_envlist: migrations}

- project:
    queue: integrated
    vars: {service: identity}
    templates: [python-jobs, integrated-gate]
    check:
      jobs:
        - identity-functional
        - identity-functional-ldap:
            voting: false
        - identity-upgrade
        - identity-migrations
        - tox-py312:
            branches: ^main$
        - propose-updates
    gate:
      jobs:
        - identity-functional:
            dependencies: [tox-linters, {name: tox-docs, soft: true}]
        - identity-migrations
    post:
      jobs: [identity-publish]
    release:
      jobs: [compute-skips]

- job:
    name: identity-publish
    parent: publish-artifact
`;

const IDENTITY_STABLE = `
- job:
    name: identity-functional
    parent: functional
    timeout: 3600
    vars: {backend: legacy}

- project:
    templates: [python-jobs]
    check:
      jobs: [identity-functional, tox-py38]
    gate:
      jobs: [identity-functional]
`;

/** Changes jobs of others where it may, and where it may not. */
const COMPUTE = `
- job:
    name: compute-driver
    parent: cloud-base
    abstract: true
    run: playbooks/driver/run.yaml
    pre-run: playbooks/driver/pre.yaml
    post-run: playbooks/driver/post.yaml
    vars: {driver: {name: none, timeout: 10}}
- job:
    name: compute-driver-kvm
    parent: compute-driver
    vars: {driver: {name: kvm}}
- job:
    name: compute-driver-xen
    parent: compute-driver
    vars: {driver: {name: xen}}
    voting: false
- job:
    name: compute-steals
    parent: propose-updates
    timeout: 60
- job:
    name: compute-skips
    parent: cloud-base
    run: playbooks/skips/run.yaml
- job:
    name: compute-publish
    parent: publish-signed
    run: playbooks/other/run.yaml

- project:
    queue: integrated
    templates: [integrated-gate, go-jobs]
    check:
      jobs:
        - compute-driver-kvm
        - compute-driver-xen:
            files: [^compute/xen/]
        - functional:
            vars: {cloud: {debug: true}}
    gate:
      jobs: [compute-driver-kvm]
    post:
      jobs: [compute-steals]
    release:
      jobs: [compute-publish]
`;

/** Eighteen jobs of a service. */
function service(name: string, next: string): string {
  const child = (suffix: string, parent: string, more = ""): string =>
    `- job:\n    name: ${name}-${suffix}\n    parent: ${parent}\n${more}`;
  const databases = ["mysql", "postgres", "sqlite"];
  const versions = ["v1", "v2", "v3"];
  const images = ["build", "push", "promote"];
  return [
    child("unit", "tox-py311", `    required-projects: [${next}]\n`),
    child("functional", "functional", `    required-projects: [${name}, ${next}]\n`),
    ...databases.map((db) =>
      child(`functional-${db}`, `${name}-functional`, `    vars: {database: {engine: ${db}}}\n`),
    ),
    ...versions.map((version) =>
      child(`api-${version}`, `${name}-functional`, `    vars: {api: ${version}}\n`),
    ),
    child("api-experimental", `${name}-api-v3`, "    voting: false\n"),
    child("upgrade", `${name}-functional`, "    branches: [{regex: ^stable/, negate: true}]\n"),
    child("docs", "tox-docs"),
    child("lint", "tox-linters", "    irrelevant-files: [^docs/]\n"),
    child("bench", `${name}-unit`, "    voting: false\n    timeout: 3000\n"),
    ...images.map((step, at) =>
      child(
        `image-${step}`,
        at === 0 ? "base" : "publish-artifact",
        at === 0 ? "    run: playbooks/image/build.yaml\n" : "",
      ),
    ),
    child("soak", `${name}-functional`, "    timeout: 14400\n    attempts: 1\n"),
    child("coverage", `${name}-unit`, "    vars: {tox_envlist: cover}\n"),
    `- project-template:
    name: ${name}-images
    check: {jobs: [${name}-image-build]}
    post:
      jobs:
        - ${name}-image-push
        - ${name}-image-promote: {dependencies: ${name}-image-push}
- project:
    queue: integrated
    templates: [integrated-gate, ${name}-images]
    check:
      jobs:
        - ${name}-unit
        - ${name}-lint
        - ${name}-docs
        - ${name}-functional-mysql
        - ${name}-functional-postgres
        - ${name}-upgrade
        - ${name}-api-experimental
    gate:
      jobs:
        - ${name}-unit
        - ${name}-lint
        - ${name}-functional-mysql
`,
  ].join("");
}

/** By project and branch. */
export function serviceFiles(): Readonly<Record<string, Readonly<Record<string, string>>>> {
  const files: Record<string, Record<string, string>> = {
    identity: { main: IDENTITY_MAIN, "stable/2024": IDENTITY_STABLE },
    compute: { main: COMPUTE },
  };
  for (const [at, name] of SERVICES.entries())
    files[name] ??= { main: service(name, SERVICES[(at + 1) % SERVICES.length]!) };
  return files;
}
