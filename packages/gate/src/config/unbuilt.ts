/*
 * What Zuul has and this gate has not yet, by name. It is refused where it stands: a job that runs without its secret
 * is worse than one that does not load.
 */

type Names = Readonly<Record<string, string | null>>;

/** Kinds of items. The text says what to do instead. */
export const UNBUILT_KINDS: Names = {
  image: null,
  flavor: null,
  label: null,
  section: null,
  provider: null,
};

export const UNBUILT_JOB: Names = {
  "ansible-split-streams": null,
  "ansible-version": null,
  "cleanup-run": "a step of post-run also runs after a failure",
  "failure-url": "it does nothing in Zuul either",
  "image-build-name": null,
  "exclude-projects": null,
  "include-projects": null,
  "override-branch": "Zuul calls it override-checkout now",
  "success-url": "it does nothing in Zuul either",
};

export const UNBUILT_SECRET: Names = { oidc: null };

export const UNBUILT_PROJECT_PIPELINE: Names = {
  debug: "`drover gate explain` says why jobs run",
  queue: "Zuul has it at the project now, beside the pipelines",
};

export const UNBUILT_PIPELINE: Names = {
  "allow-other-connections": null,
};

export const UNBUILT_TENANT: Names = {
  "access-rules": null,
  "admin-rules": null,
  "allow-circular-dependencies": null,
  "authentication-realm": null,
  "default-ansible-version": null,
  "exclude-locked-branches": null,
  "exclude-unprotected-branches": "use exclude-branches at the projects",
  "report-build-page": null,
  semaphores: null,
  "web-root": null,
};

export const UNBUILT_TENANT_PROJECT: Names = {
  "allow-circular-dependencies": null,
  "exclude-locked-branches": null,
  "exclude-unprotected-branches": "use exclude-branches",
};

/** Of `trigger`, `require`, `reject` and the reporters. */
export const UNBUILT_DRIVERS: readonly string[] = [
  "gerrit",
  "github",
  "gitlab",
  "pagure",
  "git",
  "mqtt",
  "elasticsearch",
  "mysql",
  "sql",
];

/** In a sentence, or undefined when the name is none of `names`. */
export function unbuilt(names: Names, name: string): string | undefined {
  if (!Object.hasOwn(names, name)) return undefined;
  const hint = names[name];
  return `${name} is not built yet${hint === null ? "" : `: ${hint}`}`;
}
