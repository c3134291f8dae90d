import type { ReportKind, Requirements } from "../core/index.ts";
import type { FileCheck } from "./check.ts";
import type { ConfigItem } from "./items.ts";
import { subjectProblem } from "./mail-subject.ts";
import type {
  ConnectionAction,
  LocalAction,
  Origin,
  PipelineDefinition,
  ReporterAction,
  Trigger,
} from "./model.ts";
import { suggestion } from "./nearest.ts";
import { innerTriggersOf, timersOf } from "./parse-triggers.ts";
import {
  connectionReporterSchema,
  pipelineSchema,
  REPORTER_KINDS,
  reporterSchema,
  requirementSchema,
  triggerSchema,
} from "./schema.ts";
import { UNBUILT_DRIVERS, UNBUILT_PIPELINE } from "./unbuilt.ts";

const MESSAGES: Readonly<Record<ReportKind, string>> = {
  enqueue: "",
  start: "Starting {pipeline} jobs.",
  success: "Build succeeded.",
  failure: "Build failed.",
  "merge-conflict":
    "Merge failed.\n\nThis change, or one that it depends on, does not merge with the current state of its repository. " +
    "Please rebase the change and push a new revision.",
  "config-error": "The configuration has errors.",
  "no-jobs": "",
  dequeue: "Build canceled.",
};

/** What may stand below one of a pipeline's keys. */
function driversOf(key: string): readonly string[] {
  return key === "trigger" ? ["local", "timer", "zuul"] : ["local"];
}

export function parsePipeline(
  check: FileCheck,
  item: ConfigItem,
  origin: Origin,
): PipelineDefinition | undefined {
  const before = check.problems.length;
  const written = check.shape(item, [], item.value, pipelineSchema, UNBUILT_PIPELINE);
  if (written === undefined) return undefined;
  const add = (key: string, message: string): void => check.add(item, [key], message);

  /** What the local driver is told under `key`; other drivers are refused. */
  const local = (key: "trigger" | "require" | "reject"): { value: unknown } | undefined => {
    const drivers = written[key];
    if (drivers === undefined || drivers === null) return undefined;
    for (const name of Object.keys(drivers)) {
      if (driversOf(key).includes(name)) continue;
      check.add(
        item,
        [key, name],
        UNBUILT_DRIVERS.includes(name)
          ? `${key}: the driver ${name} is not built yet; local is`
          : `${key}: there is no driver ${name}${suggestion(name, driversOf(key))}`,
      );
    }
    return Object.hasOwn(drivers, "local") ? { value: drivers.local } : undefined;
  };

  const triggers: Trigger[] = [];
  const trigger = local("trigger");
  if (trigger !== undefined) {
    const path = ["trigger", "local"];
    const list = check.shape(item, path, trigger.value, triggerSchema) ?? [];
    for (const [index, one] of list.entries()) {
      const regexes = (key: "branch" | "comment" | "ref") =>
        check.regexes(item, [...path, index, key], one[key] ?? []) ?? [];
      if (one.comment !== undefined && !one.event.includes("comment")) {
        check.add(item, [...path, index], "trigger.local: comment is looked at for the event comment only");
      }
      if (one.ref !== undefined && !one.event.includes("ref-updated")) {
        check.add(item, [...path, index], "trigger.local: ref is looked at for the event ref-updated only");
      }
      triggers.push({
        events: new Set(one.event),
        branches: regexes("branch"),
        comments: regexes("comment"),
        refs: regexes("ref"),
        ignoreDeletes: one["ignore-deletes"] ?? true,
      });
    }
  }

  const timers = timersOf(check, item, written.trigger);
  const innerTriggers = innerTriggersOf(check, item, written.trigger);

  const requirements = (key: "require" | "reject"): Requirements => {
    const found = local(key);
    if (found === undefined || found.value === null) return {};
    const rules = check.shape(item, [key, "local"], found.value, requirementSchema) ?? {};
    return {
      ...(rules.open === undefined ? {} : { open: rules.open }),
      ...(rules["current-revision"] === undefined ? {} : { currentRevision: rules["current-revision"] }),
      ...(rules.approved === undefined ? {} : { approved: rules.approved }),
    };
  };

  const localActions = (kind: ReportKind | "disabled", value: unknown): readonly LocalAction[] => {
    const list = check.shape(item, [kind, "local"], value ?? {}, reporterSchema) ?? [];
    return list.map(({ vote, comment, merge }) => ({
      driver: "local",
      vote: vote ?? null,
      comment: comment ?? true,
      merge: merge ?? false,
    }));
  };
  /** Whether there is such a connection is known only with the tenant. */
  const connectionActions = (
    kind: ReportKind | "disabled",
    connection: string,
    value: unknown,
  ): readonly ConnectionAction[] => {
    const path = [kind, connection];
    const list = check.shape(item, path, value ?? {}, connectionReporterSchema) ?? [];
    return list.map(({ to = null, from = null, subject = null }) => {
      const problem = subject === null ? undefined : subjectProblem(subject);
      if (problem !== undefined) check.add(item, [...path, "subject"], `${kind}: subject: ${problem}`);
      return { driver: "connection", connection, to, from, subject, line: item.lineOf(path) };
    });
  };
  const actions = (kind: ReportKind | "disabled"): readonly ReporterAction[] | undefined => {
    const drivers = written[kind];
    if (drivers === undefined || drivers === null) return undefined;
    const entries = Object.entries(drivers);
    const found = entries.flatMap(([name, value]): readonly ReporterAction[] => {
      if (name === "local") return localActions(kind, value);
      if (!UNBUILT_DRIVERS.includes(name)) return connectionActions(kind, name, value);
      check.add(item, [kind, name], `${kind}: the driver ${name} is not built yet; local is`);
      return [];
    });
    return entries.length === 0 ? undefined : found;
  };
  const reporters = Object.fromEntries(REPORTER_KINDS.map((kind) => [kind, actions(kind)])) as Record<
    ReportKind,
    readonly ReporterAction[] | undefined
  >;
  const disabledReporters = actions("disabled") ?? [];
  const merge = (one: ReporterAction): boolean => one.driver === "local" && one.merge;
  if (disabledReporters.some(merge)) add("disabled", "disabled: merge is for success only");
  const merges = (kind: ReportKind): boolean => reporters[kind]?.some(merge) ?? false;
  if (written.manager === "dependent" && !merges("success")) {
    add("success", "success: a dependent pipeline merges, which `local: {merge: true}` says");
  }
  for (const kind of REPORTER_KINDS) {
    if (!merges(kind)) continue;
    if (kind !== "success") add(kind, `${kind}: merge is for success only`);
    else if (written.manager !== "dependent") add(kind, `${kind}: only a dependent pipeline merges`);
  }
  if (reporters.enqueue !== undefined) {
    add("enqueue", "enqueue is not built yet: start tells when the jobs of a change begin");
  }
  if (written["ignore-dependencies"] === true && written.manager !== "independent") {
    add("ignore-dependencies", "ignore-dependencies: is for independent pipelines only");
  }
  const floor = written["window-floor"] ?? 3;
  const ceiling = written["window-ceiling"] ?? null;
  if (ceiling !== null && ceiling < floor) {
    add("window-ceiling", `window-ceiling: ${ceiling} is less than window-floor, which is ${floor}`);
  }
  const require = requirements("require");
  const reject = requirements("reject");
  if (check.problems.length > before) return undefined;
  return {
    name: written.name,
    origin,
    description: written.description ?? null,
    manager: written.manager,
    precedence: written.precedence ?? "normal",
    postReview: written["post-review"] ?? false,
    supercedes: written.supercedes ?? [],
    dequeueOnNewRevision: written["dequeue-on-new-patchset"] ?? true,
    ignoreDependencies: written["ignore-dependencies"] ?? false,
    window: {
      size: written.window ?? 20,
      floor,
      ceiling,
      increase: {
        type: written["window-increase-type"] ?? "linear",
        factor: written["window-increase-factor"] ?? 1,
      },
      decrease: {
        type: written["window-decrease-type"] ?? "exponential",
        factor: written["window-decrease-factor"] ?? 2,
      },
    },
    triggers,
    timers,
    innerTriggers,
    disableAfter: written["disable-after-consecutive-failures"] ?? null,
    disabledReporters,
    require,
    reject,
    reporters,
    messages: Object.fromEntries(
      REPORTER_KINDS.map((kind) => [kind, written[`${kind}-message`] ?? MESSAGES[kind]]),
    ) as Record<ReportKind, string>,
    footer: written["footer-message"] ?? "",
    supercedesLine: item.lineOf(["supercedes"]),
  };
}
