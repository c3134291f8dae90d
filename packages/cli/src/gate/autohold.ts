import type { AutoholdView, DoneView } from "@drover/gate/api";
import { printable } from "@drover/protocol";
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
  print(flags, list, () => listLines(list));
}

export async function autoholdInfo(id: string, flags: GateFlags): Promise<void> {
  const one = await new GateApi(gatePlace(flags)).get<AutoholdView>(pathOf(id));
  print(flags, one, () => infoLines(one));
}

export async function deleteAutohold(id: string, flags: GateFlags): Promise<void> {
  printDone(flags, await new GateApi(gatePlace(flags)).delete<DoneView>(pathOf(id)));
}

const pathOf = (id: string): string => `/autoholds/${countOf(id, "the autohold")}`;

function ofWhat({ project, change, ref }: AutoholdView): string {
  const which = change !== null ? ` change ${change}` : ref !== null ? ` refs ${ref}` : "";
  return printable(`${project}${which}`);
}

function listLines(list: readonly AutoholdView[]): string[] {
  if (list.length === 0) return ["Nothing is to be held."];
  const columns = [
    { title: "autohold", right: true },
    { title: "job" },
    { title: "of" },
    { title: "left", right: true },
    { title: "held builds" },
    { title: "reason" },
  ];
  const rows = list.map((one) => [
    String(one.id),
    printable(one.job),
    ofWhat(one),
    String(one.count),
    one.held.map(({ build, executor }) => printable(`${build} on ${executor}`)).join(", "),
    printable(one.reason),
  ]);
  return tableLines(columns, rows);
}

function infoLines(one: AutoholdView): string[] {
  const hours = Math.round(one.holdMs / 360_000) / 10;
  return [
    `autohold ${one.id}: job ${printable(one.job)} of ${ofWhat(one)}`,
    `asked by ${printable(one.askedBy)} at ${new Date(one.madeMs).toISOString()}: ${printable(one.reason)}`,
    `builds left to hold: ${one.count}, each for ${hours} h`,
    ...one.held.map(
      ({ build, executor, untilMs }) =>
        `build ${build} is held on executor ${printable(executor)} until ${new Date(untilMs).toISOString()}: drover gate held-shell ${build}`,
    ),
  ];
}
