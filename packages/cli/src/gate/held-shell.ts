import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { type HeldShell, readHeldShell } from "@drover/gate";
import type { AutoholdView } from "@drover/gate/api";
import { printable } from "@drover/protocol";
import { CommandFailed } from "../errors.ts";
import { GateApi } from "./api.ts";
import { type GateFlags, gatePlace } from "./place.ts";

/* A shell in the workspace of a failed build, on the machine that holds it. */

/** Where executions are in the folder of a gate, and in that of an executor. */
const EXECUTIONS = [join("builds", "executions"), "executions"];

/** Ends as the shell does. */
export async function heldShell(build: string, flags: GateFlags & { readonly dir: string }): Promise<void> {
  const shells = shellsIn(resolve(flags.dir));
  const { command, env, cwd } = ownOf(shells, build) ?? (await askedFor(build, shells, flags));
  const [program, ...words] = command;
  const terminal = { ...env, TERM: process.env.TERM ?? "dumb" };
  const { status, error } = spawnSync(program!, words, { cwd, env: terminal, stdio: "inherit" });
  if (error !== undefined) throw new CommandFailed("GATE_REFUSED", `no shell: ${error.message}`);
  process.exitCode = status ?? 1;
}

function shellsIn(folder: string): HeldShell[] {
  return EXECUTIONS.map((name) => join(folder, name))
    .filter((path) => existsSync(path))
    .flatMap((path) => readdirSync(path).flatMap((name) => readHeldShell(join(path, name)) ?? []));
}

/** Found without the gate: one that ran for that build alone, or an execution by its name. */
function ownOf(shells: readonly HeldShell[], build: string): HeldShell | undefined {
  const found = shells.filter(
    (one) => one.execution === build || /^[0-9a-f]{12}-(\d+)$/.exec(one.build)?.[1] === build,
  );
  return found.length === 1 ? found[0] : undefined;
}

/** @throws CommandFailed that says where to go */
async function askedFor(
  build: string,
  shells: readonly HeldShell[],
  flags: GateFlags & { readonly dir: string },
): Promise<HeldShell> {
  const list = await new GateApi(gatePlace(flags)).get<AutoholdView[]>("/autoholds");
  const held = list.flatMap((one) => one.held).find((one) => one.build === build || one.execution === build);
  if (held === undefined)
    throw new CommandFailed(
      "GATE_REFUSED",
      `the workspace of build ${printable(build)} is not held: see drover gate autohold-list`,
    );
  const shell = shells.find(({ execution }) => execution === held.execution);
  if (shell !== undefined) return shell;
  const executor = printable(held.executor);
  const where =
    held.executor === "gate"
      ? "in the gate's own process: on its machine, with --dir and the folder of the gate"
      : `by executor ${executor}: on its machine, with --dir and the folder that drover gate executor has there`;
  throw new CommandFailed(
    "GATE_REFUSED",
    `the workspace of build ${printable(build)} is not in ${resolve(flags.dir)}; it is held ${where}:\n  drover gate held-shell ${held.execution} --dir FOLDER`,
  );
}
