import type { SemaphoreView } from "@drover/gate/api";
import { printable } from "@drover/protocol";
import { tableLines } from "../terminal/table.ts";
import { GateApi } from "./api.ts";
import { type GateFlags, gatePlace } from "./place.ts";
import { print } from "./run.ts";

/* What the commands of `drover gate` do that tell of what builds share. */

export async function listSemaphores(flags: GateFlags): Promise<void> {
  const semaphores = await new GateApi(gatePlace(flags)).get<SemaphoreView[]>("/semaphores");
  print(flags, semaphores, () => semaphoreLines(semaphores));
}

function semaphoreLines(semaphores: readonly SemaphoreView[]): string[] {
  if (semaphores.length === 0) return ["There are no semaphores."];
  const user = ({ job, change, subject, build }: SemaphoreView["holders"][number]) =>
    printable(
      `${job} of ${change === null ? subject : `change ${change}`}${build === null ? "" : ` (build ${build})`}`,
    );
  const columns = [
    { title: "semaphore" },
    { title: "used", right: true },
    { title: "held by" },
    { title: "waited for by" },
  ];
  const rows = semaphores.map(({ name, max, holders, waiting }) => [
    printable(name),
    `${holders.length} of ${max}`,
    holders.map(user).join(", "),
    waiting.map(user).join(", "),
  ]);
  return tableLines(columns, rows);
}
