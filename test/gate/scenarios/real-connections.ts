import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { UndeliveredView } from "@drover/gate/api";
import { stringify } from "yaml";
import type { RunningGate } from "../running-gate.ts";

/** In the folder of a gate. */
const TAKEN = "taken-reports";

interface Taken {
  readonly id: string;
  readonly report: string;
  readonly subject: { readonly number: number | null };
}

/** Gives a gate the connections `broken`, a program that always fails, and `working`, one that notes what it is told. */
export async function addConnections(running: RunningGate): Promise<void> {
  const note = `{ cat; echo; } >> ${TAKEN}`;
  const connections = [
    { name: "broken", driver: "command", command: ["false"] },
    { name: "working", driver: "command", command: ["sh", "-c", note] },
  ];
  const text = stringify(connections.map((connection) => ({ connection })));
  appendFileSync(join(running.gateFolder, "gate.yaml"), text);
  await running.post("/reconfigure", "root");
}

/** Reports of a change that `working` has taken, in their order. */
export function takenReports(running: RunningGate, number: number): string[] {
  const path = join(running.gateFolder, TAKEN);
  if (!existsSync(path)) return [];
  const whole = readFileSync(path, "utf8").split("\n").slice(0, -1);
  const all = whole.filter((line) => line !== "").map((line) => JSON.parse(line) as Taken);
  // One that was told twice is the same one.
  const byId = new Map(all.map((one) => [one.id, one]));
  return [...byId.values()].filter(({ subject }) => subject.number === number).map(({ report }) => report);
}

/** Reports of a change that `broken` has not taken, in their order. */
export async function untakenReports(running: RunningGate, number: number): Promise<string[]> {
  const letters = await running.get<UndeliveredView[]>(`/outbox?change=${number}`);
  return letters
    .filter(({ connection }) => connection === "broken")
    .map(({ report }) => report)
    .reverse();
}
