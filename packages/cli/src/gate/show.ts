import type {
  BuildView,
  ChangeSummaryView,
  ChangeView,
  FlakeView,
  ItemView,
  JobView,
  StatusView,
  SubjectView,
  UndeliveredView,
} from "@drover/gate/api";
import { printable } from "@drover/protocol";
import { durationText, tableLines } from "../terminal/table.ts";

/* The gate as lines of text. */

const MARKS: Readonly<Record<string, string>> = { SUCCESS: "✓", FAILURE: "✗" };
const MAX_TITLE = 60;

export function statusLines(status: StatusView, nowMs: number): string[] {
  const lines: string[] = [];
  const { tenant, isPaused, slots, configProblems } = status;
  lines.push(
    `${printable(tenant)}: ${slots.used} of ${slots.total} slots in use` +
      `${isPaused ? ", PAUSED" : ""}${configProblems !== null && configProblems > 0 ? `, ${configProblems} problems in the configuration: drover gate config problems` : ""}` +
      `${status.undelivered ? `, ${status.undelivered} reports undelivered: drover gate outbox` : ""}`,
  );
  for (const { project, branch, by, reason } of status.frozenBranches)
    lines.push(
      `${printable(project)}/${printable(branch)} is frozen by ${printable(by)}${reason === "" ? "" : `: ${printable(reason, 1_000)}`}`,
    );
  let isEmpty = true;
  for (const { name, queues, waiting, isDisabled } of status.pipelines) {
    const count = queues.reduce((sum, { items }) => sum + items.filter(({ live }) => live).length, 0);
    if (count === 0 && waiting.length === 0 && !isDisabled) continue;
    isEmpty = false;
    lines.push(
      "",
      `${printable(name)}: ${count} ${count === 1 ? "item" : "items"}` +
        `${isDisabled ? ", reports elsewhere, having failed too often in a row" : ""}`,
    );
    for (const queue of queues) {
      if (queue.items.length === 0) continue;
      // Queues of single changes have no name.
      const head = [
        `${printable(queue.name)}${queue.branch === null ? "" : ` (${printable(queue.branch)})`}`.trim(),
        queue.window === 0 ? "" : `window ${queue.window}`,
      ].filter((part) => part !== "");
      if (head.length > 0) lines.push(`  ${head.join(", ")}`);
      for (const { item, depth } of asTree(queue.items)) lines.push(...itemLines(item, depth, nowMs));
    }
    for (const { subject, reason } of waiting) {
      lines.push(`  waits  ${subjectText(subject)}`, `         ${printable(reason, 500)}`);
    }
  }
  if (isEmpty) lines.push("", "Nothing is in a pipeline.");
  return lines;
}

/** Items in the order of their queue, each as deep as its branch of the tree: the failing ones stand aside. */
function asTree(items: readonly ItemView[]): { readonly item: ItemView; readonly depth: number }[] {
  const depths = new Map<number, number>();
  const byId = new Map(items.map((item) => [item.id, item]));
  return items.map((item) => {
    const ahead = item.itemAhead === null ? undefined : byId.get(item.itemAhead);
    // The first behind an item goes on below it; others branch off.
    const isFirst = ahead === undefined || ahead.itemsBehind[0] === item.id;
    const depth = ahead === undefined ? 0 : (depths.get(ahead.id) ?? 0) + (isFirst ? 0 : 1);
    depths.set(item.id, item.failing ? depth + 1 : depth);
    return { item, depth: item.failing ? depth + 1 : depth };
  });
}

function itemLines(item: ItemView, depth: number, nowMs: number): string[] {
  const indent = "  ".repeat(2 + depth);
  const mark = item.failing ? "✗" : !item.live ? "·" : item.active ? "●" : "○";
  const since = durationText(nowMs - item.enqueuedMs);
  const left = item.remainingMs ? `, about ${durationText(item.remainingMs)} left` : "";
  const resets = item.resets === 0 ? "" : item.resets === 1 ? ", reset once" : `, reset ${item.resets} times`;
  const [first, ...others] = item.members.map(subjectText);
  const lines = [`${indent}${mark} ${first}  (${since}${left}${resets})`];
  for (const other of others) lines.push(`${indent}+ ${other}`);
  for (const reason of item.reasons) lines.push(`${indent}    ${printable(reason, 500)}`);
  for (const job of item.jobs) lines.push(`${indent}    ${jobText(job, nowMs)}`);
  return lines;
}

function jobText(
  { name, state, result, voting, build, startedMs, endedMs, estimatedMs, reason, attempt }: JobView,
  nowMs: number,
): string {
  const mark = result === null ? (state === "running" ? "▶" : "·") : (MARKS[result] ?? "!");
  const took = startedMs === null ? "" : ` ${durationText((endedMs ?? nowMs) - startedMs)}`;
  const guess = state === "running" && estimatedMs !== null ? ` of about ${durationText(estimatedMs)}` : "";
  const again = attempt > 1 ? `, attempt ${attempt}` : "";
  const why = reason === null || result === "SUCCESS" ? "" : `: ${printable(reason, 300)}`;
  return `${mark} ${printable(name)} ${result ?? state}${took}${guess}${again}${voting ? "" : " (non-voting)"}${build === null ? "" : ` [build ${build}]`}${why}`;
}

export function subjectText({ number, revision, project, branch, title }: SubjectView): string {
  const name = number === null ? printable(title) : `${number},${revision}`;
  const shown = number === null ? "" : ` ${printable(title, MAX_TITLE)}`;
  return `${name} ${printable(project)}${branch === null ? "" : `/${printable(branch)}`}${shown}`;
}

export function buildLines(builds: readonly BuildView[]): string[] {
  if (builds.length === 0) return ["There are no builds."];
  const columns = [
    { title: "build", right: true },
    { title: "result" },
    { title: "job", maxWidth: 40 },
    { title: "change" },
    { title: "project", maxWidth: 30 },
    { title: "pipeline" },
    { title: "took", right: true },
    { title: "began" },
  ];
  const rows = builds.map(({ id, result, job, subject, pipeline, startedMs, endedMs, shared }) => [
    id,
    `${result ?? "runs"}${shared == null ? "" : `, ${shared.how} ${shared.build}`}`,
    printable(job),
    subject.number === null ? printable(subject.title) : `${subject.number},${subject.revision}`,
    printable(subject.project),
    printable(pipeline),
    startedMs === null || endedMs === null ? "" : durationText(endedMs - startedMs),
    startedMs === null ? "" : new Date(startedMs).toISOString().slice(0, 19).replace("T", " "),
  ]);
  return tableLines(columns, rows);
}

/** Each report that was not taken, and below it why. */
export function outboxLines(letters: readonly UndeliveredView[]): string[] {
  if (letters.length === 0) return ["Every report has been delivered."];
  return letters.flatMap(({ connection, pipeline, report, subject, atMs, attempts, nextMs, problem }) => {
    const next = nextMs === null ? "given up" : `next ${timeText(nextMs)}`;
    const tried = `${attempts} ${attempts === 1 ? "attempt" : "attempts"}`;
    return [
      `${timeText(atMs)}  ${printable(connection)}: ${printable(report)} of ${printable(subject)} in ${printable(pipeline)}, ${tried}, ${next}`,
      ...(problem === null ? [] : [`  ${printable(problem, 500)}`]),
    ];
  });
}

/** Each flake, and below it what it came out as. */
export function flakeLines(flakes: readonly FlakeView[]): string[] {
  if (flakes.length === 0) return ["There are no flakes: equal content has always given the same result."];
  return flakes.flatMap(({ project, job, lastMs, executions }) => [
    `${printable(job)} of ${printable(project)}, last run ${timeText(lastMs)}`,
    ...executions.map(({ build, result, detail, endedMs }) => {
      const why = detail === null ? "" : `: ${printable(detail, 300)}`;
      return `  ${timeText(endedMs)}  ${MARKS[result] ?? "!"} ${printable(result)} [build ${build}]${why}`;
    }),
  ]);
}

const timeText = (ms: number): string => new Date(ms).toISOString().slice(0, 19).replace("T", " ");

export function changeLines(changes: readonly ChangeSummaryView[]): string[] {
  if (changes.length === 0) return ["There are no such changes."];
  const columns = [
    { title: "change" },
    { title: "state" },
    { title: "project", maxWidth: 30 },
    { title: "branch" },
    { title: "owner" },
    { title: "title", maxWidth: 70 },
  ];
  return tableLines(
    columns,
    changes.map(({ subject, state, isApproved }) => [
      `${subject.number},${subject.revision}`,
      state === "open" && isApproved ? "approved" : state,
      printable(subject.project),
      printable(subject.branch ?? ""),
      printable(subject.owner ?? ""),
      printable(subject.title),
    ]),
  );
}

export function changeText(change: ChangeView): string[] {
  const { subject, state, isApproved, message, needs, approvals, comments, builds, fetchCommand } = change;
  const lines = [
    subjectText(subject),
    `${state === "open" && isApproved ? "approved" : state}, by ${printable(subject.owner ?? "?")}`,
    `  ${printable(fetchCommand, 1_000)}`,
    "",
    ...message
      .trimEnd()
      .split("\n")
      .map((line) => `  ${printable(line, 1_000)}`),
  ];
  for (const { user, revision, keptFrom } of approvals) {
    const kept = keptFrom == null ? "" : `, kept from revision ${keptFrom}`;
    lines.push("", `approved by ${printable(user)}, revision ${revision}${kept}`);
  }
  for (const { source, change: needed, problem } of needs) {
    const what = needed === null ? printable(source, 500) : `change ${needed}`;
    lines.push("", `needs ${what}${problem === null ? "" : `: ${printable(problem, 500)}`}`);
  }
  for (const { atMs, author, revision, vote, text, file, line } of comments) {
    const when = new Date(atMs).toISOString().slice(0, 19).replace("T", " ");
    const voted = vote === null || vote === 0 ? "" : ` ${vote > 0 ? "+1" : "-1"}`;
    const where = file === null ? "" : ` ${printable(file, 300)}${line === null ? "" : `:${line}`}`;
    lines.push("", `${when}  ${printable(author)}, revision ${revision}${voted}${where}`);
    lines.push(
      ...text
        .trim()
        .split("\n")
        .map((one) => `  ${printable(one, 1_000)}`),
    );
  }
  return builds.length === 0 ? lines : [...lines, "", ...buildLines(builds)];
}
