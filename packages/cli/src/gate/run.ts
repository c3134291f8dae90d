import { setTimeout as after } from "node:timers/promises";
import type {
  BuildView,
  ChangeSummaryView,
  ChangeView,
  ConfigProblem,
  DoneView,
  FlakeView,
  StatusView,
  UndeliveredView,
} from "@drover/gate/api";
import { printable } from "@drover/protocol";
import { UsageError } from "../errors.ts";
import { countOf } from "../times.ts";
import { GateApi } from "./api.ts";
import { pastTime, timeText } from "./history.ts";
import { type GateFlags, gatePlace } from "./place.ts";
import { buildLines, changeLines, changeText, flakeLines, outboxLines, statusLines } from "./show.ts";

/* What the commands of `drover gate` do that talk to one. */

const WATCH_MS = 1_000;

export async function showStatus(
  flags: GateFlags & { readonly watch?: boolean; readonly at?: string },
): Promise<void> {
  const api = new GateApi(gatePlace(flags));
  const at = flags.at === undefined ? undefined : pastTime(flags.at, "--at");
  for (;;) {
    const status = await api.get<StatusView>("/status", { at });
    const isScreen = flags.watch === true && process.stdout.isTTY && flags.json !== true;
    if (isScreen) process.stdout.write("\u001b[H\u001b[2J");
    const then = at === undefined ? [] : [`As it was at ${timeText(at)} (UTC):`];
    print(flags, status, () => [...then, ...statusLines(status, status.atMs)]);
    if (flags.watch !== true) return;
    await after(WATCH_MS);
  }
}

export async function listChanges(flags: GateFlags & Record<string, string>): Promise<void> {
  const { project, state, owner } = flags;
  const limit = countOf(flags.limit!, "--limit");
  const changes = await new GateApi(gatePlace(flags)).get<ChangeSummaryView[]>("/changes", {
    project,
    state,
    owner,
    limit,
  });
  print(flags, changes, () => changeLines(changes));
}

export async function listBuilds(flags: GateFlags & Record<string, string>): Promise<void> {
  const { project, job, result, pipeline } = flags;
  const change = flags.change === undefined ? undefined : changeNumber(flags.change);
  const limit = countOf(flags.limit!, "--limit");
  const builds = await new GateApi(gatePlace(flags)).get<BuildView[]>("/builds", {
    project,
    job,
    result,
    pipeline,
    change,
    limit,
  });
  print(flags, builds, () => buildLines(builds));
}

export async function listFlakes(flags: GateFlags & Record<string, string>): Promise<void> {
  const { project, job } = flags;
  const limit = countOf(flags.limit!, "--limit");
  const flakes = await new GateApi(gatePlace(flags)).get<FlakeView[]>("/flakes", { project, job, limit });
  print(flags, flakes, () => flakeLines(flakes));
}

/** `drover gate outbox` */
export async function listOutbox(flags: GateFlags & Record<string, string>): Promise<void> {
  const { change } = flags;
  const limit = countOf(flags.limit!, "--limit");
  const of = change === undefined ? undefined : changeNumber(change);
  const letters = await new GateApi(gatePlace(flags)).get<UndeliveredView[]>("/outbox", {
    change: of,
    limit,
  });
  print(flags, letters, () => outboxLines(letters));
}

export async function showChange(number: string, flags: GateFlags): Promise<void> {
  const change = await new GateApi(gatePlace(flags)).get<ChangeView>(`/changes/${changeNumber(number)}`);
  print(flags, change, () => changeText(change));
}

export async function configProblems(flags: GateFlags): Promise<void> {
  const problems = await new GateApi(gatePlace(flags)).get<ConfigProblem[]>("/config-problems");
  print(flags, problems, () =>
    problems.length === 0 ? ["The configuration has no problems."] : problems.map(problemLine),
  );
  if (problems.length > 0) process.exitCode = 1;
}

export function problemLine({ project, branch, file, line, message }: ConfigProblem): string {
  const where = [project, branch, file].filter((part) => part !== "").join(" ");
  const at = `${printable(where)}${line === null ? "" : `:${line}`}`;
  return `${at === "" ? "" : `${at}: `}${printable(message, 1_000)}`;
}

/** `approve`, `unapprove`, `abandon`, `restore` */
export async function actOnChange(verb: string, numbers: readonly string[], flags: GateFlags): Promise<void> {
  const api = new GateApi(gatePlace(flags));
  for (const number of numbers.map(changeNumber)) {
    printDone(flags, await api.post<DoneView>(`/changes/${number}/${verb}`));
  }
}

export async function comment(
  number: string,
  text: string,
  flags: GateFlags & { readonly vote?: string; readonly file?: string; readonly line?: string },
): Promise<void> {
  const { vote, file, line } = flags;
  if (vote !== undefined && !["-1", "0", "1", "+1"].includes(vote)) {
    throw new UsageError("OPTION_INVALID", `--vote ${JSON.stringify(vote)} is neither -1 nor 0 nor 1`);
  }
  const body = {
    text,
    ...(vote === undefined ? {} : { vote: Number(vote) }),
    ...(file === undefined ? {} : { file }),
    ...(line === undefined ? {} : { line: whole("--line", line) }),
  };
  const api = new GateApi(gatePlace(flags));
  printDone(flags, await api.post<DoneView>(`/changes/${changeNumber(number)}/comment`, body));
}

export async function enqueue(
  number: string,
  flags: GateFlags & {
    readonly pipeline: string;
    readonly force?: boolean;
    readonly ignoreDependsOn?: string[];
  },
): Promise<void> {
  const { pipeline, force = false, ignoreDependsOn = [] } = flags;
  const body = { change: Number(changeNumber(number)), pipeline, ignoreRequirements: force, ignoreDependsOn };
  printDone(flags, await new GateApi(gatePlace(flags)).post<DoneView>("/enqueue", body));
}

export async function dequeue(
  number: string,
  flags: GateFlags & { readonly pipeline: string; readonly project?: string },
): Promise<void> {
  const { pipeline, project } = flags;
  const body = {
    change: Number(changeNumber(number)),
    pipeline,
    ...(project === undefined ? {} : { project }),
  };
  printDone(flags, await new GateApi(gatePlace(flags)).post<DoneView>("/dequeue", body));
}

export async function promote(
  numbers: readonly string[],
  flags: GateFlags & { readonly pipeline: string },
): Promise<void> {
  const { pipeline } = flags;
  const changes = numbers.map((number) => Number(changeNumber(number)));
  printDone(flags, await new GateApi(gatePlace(flags)).post<DoneView>("/promote", { changes, pipeline }));
}

export async function operate(path: string, body: unknown, flags: GateFlags): Promise<void> {
  printDone(flags, await new GateApi(gatePlace(flags)).post<DoneView>(path, body));
}

export async function addUser(
  name: string,
  flags: GateFlags & { readonly operator?: boolean; readonly worker?: boolean },
): Promise<void> {
  if (flags.worker === true && flags.operator !== undefined)
    throw new UsageError("OPTION_INVALID", "whoever is a worker is no operator");
  const asked = flags.operator === undefined ? undefined : flags.operator ? "operator" : "user";
  const role = flags.worker === true ? "worker" : asked;
  const answer = await new GateApi(gatePlace(flags)).post<DoneView & { token: string }>("/users", {
    name,
    role,
  });
  if (flags.json === true) process.stdout.write(`${JSON.stringify(answer)}\n`);
  else {
    // The token alone goes where it can be redirected.
    process.stderr.write(`${answer.done.join("\n")}; the token is shown this once:\n`);
    process.stdout.write(`${answer.token}\n`);
  }
}

export async function removeUser(name: string, flags: GateFlags): Promise<void> {
  printDone(
    flags,
    await new GateApi(gatePlace(flags)).delete<DoneView>(`/users/${encodeURIComponent(name)}`),
  );
}

/** Prints a build's log; with `follow` until the build has ended, and then the exit code tells how. */
export async function showLog(id: string, flags: GateFlags & { readonly follow?: boolean }): Promise<void> {
  const api = new GateApi(gatePlace(flags));
  const build = whole("the build", id);
  if (flags.follow !== true) {
    for (let from = 0; ; ) {
      const response = await api.fetch(`/builds/${build}/log?from=${from}`);
      const bytes = Buffer.from(await response.arrayBuffer());
      if (bytes.length === 0) return;
      process.stdout.write(bytes);
      from = Number(response.headers.get("drover-log-from")) + bytes.length;
    }
  }
  const response = await api.fetch(`/builds/${build}/log`, { headers: { accept: "text/event-stream" } });
  let unread = "";
  const decoder = new TextDecoder();
  for await (const bytes of response.body!) {
    unread += decoder.decode(bytes, { stream: true });
    const events = unread.split("\n\n");
    unread = events.pop()!;
    for (const event of events) {
      const data = /^data: (.*)$/m.exec(event)?.[1];
      if (data === undefined) continue;
      const { text, result } = JSON.parse(data) as { text?: string; result?: string };
      if (text !== undefined) process.stdout.write(text);
      else if (result !== "SUCCESS") process.exitCode = 1;
    }
  }
}

export function print(flags: GateFlags, value: unknown, lines: () => readonly string[]): void {
  process.stdout.write(flags.json === true ? `${JSON.stringify(value)}\n` : `${lines().join("\n")}\n`);
}

export function printDone(flags: GateFlags, answer: DoneView): void {
  print(flags, answer, () => answer.done.map((text) => printable(text, 1_000)));
}

/** `12`, or `12,3` as it is shown. @throws UsageError */
export function changeNumber(text: string): string {
  const number = /^(\d+)(?:,\d+)?$/.exec(text)?.[1];
  if (number !== undefined) return number;
  throw new UsageError("OPTION_INVALID", `${JSON.stringify(text)} is no number of a change`);
}

function whole(what: string, text: string): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(number)) return number;
  throw new UsageError("OPTION_INVALID", `${what}: ${JSON.stringify(text)} is no whole number`);
}
