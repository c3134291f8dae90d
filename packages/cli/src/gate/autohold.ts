import { spawnSync } from "node:child_process";
import { join, resolve } from "node:path";
import { readHeldShell } from "@drover/gate";
import type { AutoholdView, DoneView } from "@drover/gate/api";
import { printable } from "@drover/protocol";
import { CommandFailed } from "../errors.ts";
import { tableLines } from "../terminal/table.ts";
import { countOf, durationMs } from "../times.ts";
import { GateApi } from "./api.ts";
import { type GateFlags, gatePlace } from "./place.ts";
import { changeNumber, print, printDone } from "./run.ts";

/* What the commands of `drover gate` do about workspaces of failed builds. */

export async function autohold(
  flags: GateFlags & {
    readonly project: string;
    readonly job: string;
    readonly change?: string;
    readonly ref?: string;
    readonly reason: string;
    readonly count: string;
    readonly hold: string;
  },
): Promise<void> {
  const { project, job, change, ref, reason } = flags;
  const asked = {
    ...{ project, job, reason, count: countOf(flags.count, "--count") },
    holdMs: durationMs(flags.hold, "--hold"),
    ...(change === undefined ? {} : { change: Number(changeNumber(change)) }),
    ...(ref === undefined ? {} : { ref }),
  };
  printDone(flags, await new GateApi(gatePlace(flags)).post<DoneView>("/autoholds", asked));
}

export async function listAutoholds(flags: GateFlags): Promise<void> {
  const list = await new GateApi(gatePlace(flags)).get<AutoholdView[]>("/autoholds");
  print(flags, list, () => autoholdLines(list));
}

export async function deleteAutohold(id: string, flags: GateFlags): Promise<void> {
  const path = `/autoholds/${encodeURIComponent(id)}`;
  printDone(flags, await new GateApi(gatePlace(flags)).delete<DoneView>(path));
}

/** Ends as the shell does. */
export async function heldShell(build: string, flags: GateFlags & { readonly dir: string }): Promise<void> {
  const list = await new GateApi(gatePlace(flags)).get<AutoholdView[]>("/autoholds");
  const held = list.flatMap((one) => one.held).find((one) => one.build === build);
  if (held === undefined) {
    const remedy = "see drover gate autohold-list";
    throw new CommandFailed(
      "GATE_REFUSED",
      `the workspace of build ${printable(build)} is not held: ${remedy}`,
    );
  }
  const shell = readHeldShell(join(resolve(flags.dir), "builds", "executions", held.execution));
  if (shell === undefined) {
    const what = `${flags.dir} has no workspace of build ${build}`;
    throw new CommandFailed(
      "GATE_REFUSED",
      `${what}: name the folder of the gate with --dir, on its machine`,
    );
  }
  const [program, ...words] = shell.command;
  const env = { ...shell.env, TERM: process.env.TERM ?? "dumb" };
  const { status, error } = spawnSync(program!, words, { cwd: shell.cwd, env, stdio: "inherit" });
  if (error !== undefined) throw new CommandFailed("GATE_REFUSED", `no shell: ${error.message}`);
  process.exitCode = status ?? 1;
}

function autoholdLines(list: readonly AutoholdView[]): string[] {
  if (list.length === 0) return ["Nothing is to be held."];
  const columns = [
    { title: "autohold", right: true },
    { title: "job" },
    { title: "of" },
    { title: "left", right: true },
    { title: "held builds" },
    { title: "reason" },
  ];
  const rows = list.map(({ id, job, project, change, ref, count, held, reason }) => [
    String(id),
    printable(job),
    printable(`${project}${change === null ? "" : ` change ${change}`}${ref === null ? "" : ` ${ref}`}`),
    String(count),
    held.map(({ build, untilMs }) => `${build} until ${new Date(untilMs).toISOString()}`).join(", "),
    printable(reason),
  ]);
  return tableLines(columns, rows);
}
