import { stringify } from "yaml";
import type { FurtherPipeline, JobSetup, ProjectSetup, ReportName, Setup } from "./world.ts";

/* Scenarios as the configuration of a gate. */

/** First lines of what pipelines report. */
export const PIPELINE_MESSAGES: Readonly<Record<Exclude<ReportName, "dequeue">, string>> = {
  start: "start",
  success: "success",
  failure: "failure",
  "merge-conflict": "merge-conflict",
  "config-error": "config-error",
  "no-jobs": "no-jobs",
};

/** What builds that are prepared have in their logs when their run has begun. */
export const RUN_BEGINS = /^runs$/m;

/** Ends as it is told. It stays a reader, since a pipe without one forgets what was written meanwhile. */
const OBEY = `
exec 3< "$told"
while :; do
  read -r code <&3 || { sleep 0.1; continue; }
  case "$code" in
    early) echo "fails, and goes on" ;;
    pause) echo '{"zuul": {"pause": true, "artifacts": [{"name": "made", "url": "here"}]}}' > "$DROVER_RESULT"; exit 0 ;;
    children*) echo "{\\"zuul\\": {\\"child_jobs\\": \${code#children}}}" > "$DROVER_RESULT" ;;
    0) echo made > "$DROVER_ARTIFACTS/made"; exit 0 ;;
    *) exit "$code" ;;
  esac
done
`;

/** Says which changes its workspace holds, and ends when it is told how. */
const PROBE = `
for folder in "$DROVER_WORKSPACE"/src/*/*; do
  [ -e "$folder/.git" ] || continue
  cd "$folder"
  project="\${folder#"$DROVER_WORKSPACE"/src/}"
  for branch in $(git for-each-ref --format='%(refname:lstrip=2)' refs/heads); do
    git log --no-merges --format="holds $project $branch %s" "$branch"
  done
done
echo waits
told="CONTROL/\${DROVER_BUILD##*-}"
${OBEY}`;

/** The same where builds share: it has one repository without a history, and is known by its execution. */
const SHARED_PROBE = `
cd "$DROVER_WORKSPACE/src/$DROVER_PROJECT"
git ls-files | grep -vx zuul.yaml | while read -r file; do
  echo "holds $DROVER_PROJECT $DROVER_BRANCH $(cat "$file")"
done | sort -u
echo waits
told="CONTROL/$DROVER_EXECUTION"
until [ -e "$told" ]; do sleep 0.2; done
${OBEY}`;

/**
 * Of the config-project.
 * @param shares Whether builds of equal content are one execution.
 */
export function pipelineFiles(
  {
    window,
    check = false,
    supercedes = false,
    rechecks = false,
    disableAfter,
    pipelines: further = [],
    reportsElsewhere = false,
  }: Setup,
  control: string,
  shares = false,
): Readonly<Record<string, string>> {
  const messages = Object.fromEntries(
    Object.entries(PIPELINE_MESSAGES).map(([kind, text]) => [`${kind}-message`, text]),
  );
  const elsewhere = reportsElsewhere ? { broken: {}, working: {} } : {};
  const open = { open: true, "current-revision": true };
  const checks = {
    name: "check",
    manager: "independent",
    trigger: {
      local: { event: "change-created" },
      ...(rechecks ? { zuul: { event: "parent-change-enqueued", pipeline: "gate" } } : {}),
    },
    require: { local: rechecks ? { ...open, approved: false } : open },
    ...(disableAfter === undefined ? {} : { "disable-after-consecutive-failures": disableAfter }),
    success: { local: { vote: 1 } },
    failure: { local: { vote: -1 } },
    "no-jobs": { local: {} },
    ...messages,
  };
  const gates = {
    name: "gate",
    manager: "dependent",
    precedence: "high",
    ...(supercedes ? { supercedes: "check" } : {}),
    window: window?.size ?? 20,
    "window-floor": window?.floor ?? 3,
    trigger: { local: { event: "approved" } },
    require: { local: { ...open, approved: true } },
    start: { ...elsewhere, local: { vote: 0 } },
    success: { ...elsewhere, local: { vote: 1, merge: true } },
    failure: { ...elsewhere, local: { vote: -1 } },
    "no-jobs": { local: {} },
    ...messages,
  };
  const probe = (shares ? SHARED_PROBE : PROBE).replaceAll("CONTROL", control);
  const base = {
    name: "base",
    parent: null,
    abstract: true,
    timeout: 600,
    "failure-output": "fails, and",
    command: ["sh", "-c", probe],
    // A scenario says for which change a job fails.
    ...(shares ? { reuse: true, inputs: ["change", "branch"] } : {}),
  };
  // Its preparation is what waits.
  const prepared = {
    name: "prepared",
    parent: "base",
    abstract: true,
    "pre-run": "prepare",
    command: ["echo", "runs"],
  };
  const others: Readonly<Record<FurtherPipeline, object>> = {
    deploy: {
      ...{ name: "deploy", manager: "serial", trigger: { local: { event: "change-merged" } } },
      ...{ success: { local: {} }, failure: { local: {} }, ...messages },
    },
    publish: {
      ...{ name: "publish", manager: "supercedent" },
      trigger: { local: { event: "ref-updated", ref: "^refs/heads/" } },
    },
    "merge-check": {
      ...{ name: "merge-check", manager: "independent", require: { local: open } },
      trigger: { zuul: { event: "project-change-merged" } },
      ...{ "merge-conflict": { local: {} }, ...messages },
    },
    nightly: { name: "nightly", manager: "independent", trigger: { timer: { time: "* * * * * *" } } },
  };
  const tests = check ? [checks, gates] : [gates];
  return {
    prepare: `#!/bin/sh\n${probe}`,
    "zuul.d/jobs.yaml": stringify([{ job: base }, { job: prepared }]),
    "zuul.d/pipelines.yaml": stringify(
      [...tests, ...further.map((name) => others[name])].map((pipeline) => ({ pipeline })),
    ),
    "zuul.d/projects.yaml": stringify([
      { project: Object.fromEntries(tests.map(({ name }) => [name, { jobs: ["noop"] }])) },
    ]),
  };
}

export function repositoryName(prefix: string, project: string): string {
  return `${prefix}/${project}`;
}

/**
 * Of a project.
 * @param defined What projects of the scenario have defined, and which of them; what this one does is added.
 */
export function projectFiles(
  { name: project, queue, jobs, more = {} }: ProjectSetup,
  { check = false, semaphores = {}, cycles = false }: Setup,
  prefix: string,
  defined: Map<string, string>,
): Readonly<Record<string, string>> {
  const isOwn = (name: string): boolean => {
    if (!defined.has(name)) defined.set(name, project);
    return defined.get(name) === project;
  };
  const stanzas: object[] = [];
  if (queue !== undefined && isOwn(`queue ${queue}`)) {
    const allows = cycles ? { "allow-circular-dependencies": true } : {};
    stanzas.push({ queue: { name: `${prefix}-${queue}`, ...allows } });
  }
  for (const [name, max] of Object.entries(semaphores))
    if (isOwn(`semaphore ${name}`)) stanzas.push({ semaphore: { name: `${prefix}-${name}`, max } });
  for (const job of [...jobs, ...Object.values(more).flat()])
    if (job.noop !== true && job.isDefined !== false && isOwn(`job ${job.name}`))
      stanzas.push({ job: definitionOf(job, prefix) });
  const listed = (some: readonly JobSetup[]) => ({
    jobs: some.map((job) => (job.noop === true ? "noop" : `${prefix}-${job.name}`)),
  });
  const list = listed(jobs);
  stanzas.push({
    project: {
      ...(queue === undefined ? {} : { queue: `${prefix}-${queue}` }),
      ...(check ? { check: list } : {}),
      gate: list,
      ...Object.fromEntries(Object.entries(more).map(([pipeline, some]) => [pipeline, listed(some)])),
    },
  });
  return { "zuul.yaml": stringify(stanzas) };
}

function definitionOf(
  {
    name,
    after = [],
    voting,
    holds,
    attempts,
    semaphores = [],
    deduplicate,
    requiredProjects = [],
    nodes = 1,
    prepares = false,
    provides,
    requires,
  }: JobSetup,
  prefix: string,
): object {
  const uses = semaphores.map((text) =>
    text.startsWith("first:")
      ? { name: `${prefix}-${text.slice("first:".length)}`, "resources-first": true }
      : `${prefix}-${text}`,
  );
  const dependencies = after.map((needed) => {
    const soft = needed.startsWith("soft:");
    return { name: `${prefix}-${soft ? needed.slice("soft:".length) : needed}`, soft };
  });
  return {
    name: `${prefix}-${name}`,
    ...(prepares ? { parent: "prepared" } : {}),
    ...(nodes === 1 ? {} : { nodeset: { nodes: nodesOf(nodes) } }),
    ...(dependencies.length === 0 ? {} : { dependencies }),
    ...(voting === undefined ? {} : { voting }),
    ...(holds === undefined ? {} : { "hold-following-changes": holds }),
    ...(attempts === undefined ? {} : { attempts }),
    ...(deduplicate === undefined ? {} : { deduplicate }),
    ...(requiredProjects.length === 0
      ? {}
      : { "required-projects": requiredProjects.map((project) => repositoryName(prefix, project)) }),
    ...(uses.length === 0 ? {} : { semaphores: uses }),
    ...(provides === undefined ? {} : { provides }),
    ...(requires === undefined ? {} : { requires }),
  };
}

function nodesOf(count: number): object[] {
  return Array.from({ length: count }, (_, at) => ({ name: `node-${at}`, label: "local" }));
}
