import type { FunctionRow } from "../admin/listings.ts";
import { cut, durationText, grouped, tableLines } from "../terminal/table.ts";
import type { HerdClient } from "./herd-client.ts";
import { expectedStream, type HerdWork, PARTS } from "./herd-work.ts";

export interface HerdPlan {
  readonly clients: number;
  readonly uniques: number;
  readonly workers: number;
  readonly late: boolean;
  readonly killWorker: boolean;
  readonly stepMs: number;
  readonly timeoutMs: number;
}

export interface Percentiles {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/** What the demo saw, and whether it is right. Times are milliseconds since a client submitted. */
export interface HerdReport {
  readonly server: string;
  readonly submissions: number;
  readonly uniques: number;
  readonly executions: number;
  /** Executions that ended with their worker; another one began them again. */
  readonly lost: number;
  readonly joins: number;
  readonly lateClients: number;
  /** Clients that saw the end of a stream that is whole, and the same for all clients of their unique. */
  readonly rightStreams: number;
  readonly elapsedMs: number;
  readonly acceptedMs: Percentiles;
  readonly firstDataMs: Percentiles;
  readonly resultMs: Percentiles;
  readonly problems: readonly string[];
  readonly right: boolean;
}

const SHOWN_PROBLEMS = 5;

export function judge(
  plan: HerdPlan,
  server: string,
  clients: readonly HerdClient[],
  work: Pick<HerdWork, "executions" | "lost" | "killedIn">,
  elapsedMs: number,
  row: FunctionRow | undefined,
): HerdReport {
  const problems: string[] = [];
  if (work.executions !== plan.uniques + work.lost) {
    const lost = work.lost === 0 ? "" : `, ${grouped(work.lost)} of them lost with their worker`;
    problems.push(`${grouped(work.executions)} executions for ${grouped(plan.uniques)} uniques${lost}`);
  }
  if (plan.killWorker && work.lost === 0) problems.push("no worker was killed");
  const streams = new Map<string, string>();
  let rightStreams = 0;
  clients.forEach((client, i) => {
    const problem = streamProblem(client, work.killedIn, streams);
    if (problem === undefined) rightStreams++;
    else problems.push(`client ${i + 1}, ${client.unique}: ${problem}`);
  });
  if (row !== undefined && row.submissions !== null && row.submissions !== clients.length) {
    problems.push(`the server counted ${grouped(row.submissions)} submissions`);
  }
  if (row !== undefined && row.joins !== null && row.joins !== clients.length - plan.uniques) {
    problems.push(`the server counted ${grouped(row.joins)} joins`);
  }
  return {
    server,
    submissions: clients.length,
    uniques: plan.uniques,
    executions: work.executions,
    lost: work.lost,
    joins: row?.joins ?? clients.length - plan.uniques,
    lateClients: clients.filter(({ late }) => late).length,
    rightStreams,
    elapsedMs,
    acceptedMs: percentiles(clients.map(({ acceptedMs }) => acceptedMs)),
    firstDataMs: percentiles(clients.map(({ firstDataMs }) => firstDataMs)),
    resultMs: percentiles(clients.map(({ resultMs }) => resultMs)),
    problems,
    right: problems.length === 0,
  };
}

/** @param streams The stream of each unique, from the first client that had it. */
function streamProblem(
  client: HerdClient,
  killedIn: string | undefined,
  streams: Map<string, string>,
): string | undefined {
  const { unique, stream } = client;
  if (client.problem !== undefined) return client.problem;
  if (Number.isNaN(client.resultMs)) return "no result in time";
  const first = streams.get(unique) ?? stream;
  streams.set(unique, first);
  if (stream !== first) return `its stream differs from that of others: ${difference(stream, first)}`;
  const run = /, (run \d+)\n$/.exec(stream)?.[1] ?? "";
  const expected = expectedStream(unique, run);
  if (stream !== expected) return `its stream is not whole: ${difference(stream, expected)}`;
  if (client.progress !== `${PARTS}/${PARTS}`) return `its last progress is ${client.progress || "none"}`;
  if (unique === killedIn && client.restarts !== 1) return `it was told of ${client.restarts} restarts`;
  return undefined;
}

function difference(got: string, wanted: string): string {
  const gotLines = got.split("\n");
  const wantedLines = wanted.split("\n");
  const at = gotLines.findIndex((line, i) => line !== wantedLines[i]);
  const i = at < 0 ? gotLines.length : at;
  return `line ${i + 1} is ${JSON.stringify(gotLines[i] ?? "")} instead of ${JSON.stringify(wantedLines[i] ?? "")}`;
}

/** Nearest-rank percentiles of the numbers that are there. */
export function percentiles(values: readonly number[]): Percentiles {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
  const rank = (share: number) => sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
  return { p50: rank(0.5), p90: rank(0.9), p99: rank(0.99), max: rank(1) };
}

export function reportText(report: HerdReport): string {
  const { submissions, uniques, executions, lost, joins, lateClients, rightStreams, problems } = report;
  const share = submissions === 0 ? 0 : (joins / submissions) * 100;
  const lines = [
    `done         in ${durationText(report.elapsedMs)}`,
    "",
    row(
      "submissions",
      submissions,
      lateClients === 0 ? "" : `${grouped(lateClients)} of them when the work was half done`,
    ),
    row(
      "executions",
      executions,
      `for ${grouped(uniques)} uniques${lost === 0 ? "" : `; ${grouped(lost)} lost with a worker, and done again`}`,
    ),
    row("joins", joins, `${share.toFixed(1)} % of the submissions cost no work`),
    row("streams", rightStreams, "whole, and equal for all clients of a unique"),
    "",
    ...tableLines(
      [
        { title: "since submitting" },
        ...["p50", "p90", "p99", "max"].map((title) => ({ title, right: true })),
      ],
      [
        ["accepted", ...times(report.acceptedMs)],
        ["first data", ...times(report.firstDataMs)],
        ["result", ...times(report.resultMs)],
      ],
    ),
    "",
  ];
  if (report.right) lines.push("All right.");
  else {
    lines.push("NOT right:");
    for (const problem of problems.slice(0, SHOWN_PROBLEMS)) lines.push(`  ${cut(problem, 200)}`);
    if (problems.length > SHOWN_PROBLEMS)
      lines.push(`  and ${grouped(problems.length - SHOWN_PROBLEMS)} more`);
  }
  return `${lines.join("\n")}\n`;
}

function row(name: string, value: number, note: string): string {
  return `${name.padEnd(13)}${grouped(value).padStart(9)}   ${note}`.trimEnd();
}

function times({ p50, p90, p99, max }: Percentiles): string[] {
  return [p50, p90, p99, max].map((ms) => (Number.isNaN(ms) ? "-" : durationText(ms)));
}
