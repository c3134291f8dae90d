import { userInfo } from "node:os";
import { resolve } from "node:path";
import type { ConfigInputs } from "../config/resolve.ts";
import { size } from "../config/scalars.ts";
import { CommandFailed, UsageError } from "../errors.ts";
import { serverAddresses, tokenOf } from "../server-address.ts";
import { durationMs } from "../times.ts";
import { up } from "../up/run.ts";
import { keepToken, keptTokenFile } from "./place.ts";
import type { GateWanted } from "./serve.ts";

/* Commands of `drover gate` that work on a folder of this machine. */

export interface InitFlags {
  readonly tenant?: string;
  readonly user?: string;
  readonly sample?: boolean;
  readonly selfApproval?: boolean;
  readonly from?: string;
  readonly json?: boolean;
}

export async function init(
  dir: string,
  { tenant, user = userInfo().username, sample = true, selfApproval = false, from, json }: InitFlags,
): Promise<void> {
  const folder = resolve(dir);
  if (from !== undefined) {
    const { restoreGate } = await import("@drover/gate");
    const made = await restoreGate(resolve(from), folder);
    const told = `The gate of ${from}, as it was at ${timeText(made.atMs)}, is in ${folder}: ${projectsText(made)}\n`;
    process.stdout.write(json === true ? `${JSON.stringify({ folder, ...made })}\n` : told);
    return;
  }
  const { initGate } = await import("@drover/gate");
  const made = await initGate(folder, {
    log: silent,
    user,
    sample: sample ? "sample" : null,
    selfApproval,
    ...(tenant === undefined ? {} : { tenant }),
  });
  const kept = keepToken(folder, made.token);
  const isRead = kept === keptTokenFile();
  if (json === true) {
    process.stdout.write(`${JSON.stringify({ folder, user, tokenFile: kept, ...made })}\n`);
    return;
  }
  const remote = `http://${user}@localhost:4780/git`;
  process.stdout.write(`A gate is in ${folder}
  ${made.configProject.padEnd(8)} pipelines and base jobs: check, gate, post
${made.sample === null ? "" : `  ${made.sample.padEnd(8)} a project with one job\n`}
You are ${user}, an operator. Your token, shown this once and kept in ${kept}:

  ${made.token}
${isRead ? "" : `\nYour commands have another gate's token: for this one set DROVER_TOKEN, or say --token-file ${kept}\n`}
Start it:
  drover gate up ${dir}

${
  made.sample === null
    ? ""
    : `Then, in another terminal, propose a change (the password is the token):
  git clone ${remote}/${made.sample}.git && cd ${made.sample}
  echo "More." >> README.md && git commit -am "Say more"
  git push origin HEAD:refs/for/main

`
}${
  selfApproval
    ? "See it tested, then approve it:\n  drover gate status\n  drover gate approve 1"
    : "See it tested, then approve it, as somebody else than who pushed it:\n  drover gate status\n  drover gate user add reviewer > reviewer.token\n  drover gate approve 1 --token-file reviewer.token"
}
`);
}

/** Copies a gate, whether it runs or not. */
export async function backup(dir: string, to: string, json: boolean): Promise<void> {
  const { backupGate } = await import("@drover/gate");
  const made = await backupGate(resolve(dir), resolve(to));
  const told = `${to} has the gate of ${dir} as it was at ${timeText(made.atMs)}: ${projectsText(made)}\n`;
  process.stdout.write(json ? `${JSON.stringify({ folder: resolve(to), ...made })}\n` : told);
}

const timeText = (atMs: number): string => new Date(atMs).toISOString().slice(0, 19).replace("T", " ");

function projectsText({ projects }: { readonly projects: readonly unknown[] }): string {
  return projects.length === 1 ? "1 project" : `${projects.length} projects`;
}

export interface UpFlags {
  readonly slots?: string;
  readonly executor?: boolean;
  readonly merger?: boolean;
  readonly jobServer?: string;
  readonly jobTokenFile?: string;
  readonly directPush?: boolean;
  readonly image?: string;
  readonly url?: readonly string[];
  readonly keep?: string;
  readonly keepBytes?: string;
}

/** Runs the gate of a folder with a job server beside it. */
export async function gateUp(dir: string, inputs: ConfigInputs, flags: UpFlags): Promise<never> {
  return up(inputs, {
    folder: resolve(dir),
    slots: slotsOf(flags.slots),
    hasExecutor: flags.executor ?? true,
    hasMerger: flags.merger ?? true,
    jobServer: jobServerOf(flags),
    directPush: flags.directPush ?? false,
    urls: (flags.url ?? []).map(baseUrlOf),
    ...(flags.image === undefined ? {} : { image: flags.image }),
    ...(flags.keep === undefined ? {} : { keepMs: durationMs(flags.keep, "--keep") }),
    ...(flags.keepBytes === undefined ? {} : { keepBytes: sizeOf("--keep-bytes", flags.keepBytes) }),
  });
}

/** @throws UsageError, TransportError `ADDRESS_INVALID` */
function jobServerOf({ jobServer, jobTokenFile }: UpFlags): GateWanted["jobServer"] {
  if (jobServer === undefined) {
    if (jobTokenFile === undefined) return undefined;
    throw new UsageError("OPTION_INVALID", "--job-token-file is for a job server that --job-server names");
  }
  const token = tokenOf(jobTokenFile === undefined ? {} : { tokenFile: jobTokenFile }, {});
  return { servers: serverAddresses({ host: jobServer }).join(","), token };
}

/** @throws UsageError */
export function slotsOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const slots = Number(text);
  if (/^\d+$/.test(text) && slots >= 1 && slots <= 10_000) return slots;
  throw new UsageError("OPTION_INVALID", `--slots ${JSON.stringify(text)} is no number from 1 to 10000`);
}

/** @throws UsageError */
function baseUrlOf(text: string): string {
  const url = URL.parse(text);
  const isBase = url !== null && /^https?:$/.test(url.protocol) && url.pathname === "/" && url.search === "";
  if (isBase && url.username === "" && url.hash === "") return url.origin;
  throw new UsageError("OPTION_INVALID", `--url ${JSON.stringify(text)} is no address: write https://HOST`);
}

/** @throws UsageError */
export function sizeOf(option: string, text: string): number {
  const { success, data, error } = size(1).safeParse(text);
  if (success) return data;
  throw new UsageError("OPTION_INVALID", `${option} ${JSON.stringify(text)}: ${error.issues[0]!.message}`);
}

export async function checkConfig(dir: string, json: boolean): Promise<void> {
  const { checkConfigFolder } = await import("@drover/gate");
  const { kind, files, problems } = await checkConfigFolder(resolve(dir));
  if (json) process.stdout.write(`${JSON.stringify({ kind, files, problems })}\n`);
  else {
    const { problemLine } = await import("./run.ts");
    for (const problem of problems) process.stdout.write(`${problemLine(problem)}\n`);
    if (problems.length === 0) process.stdout.write(`${dir}: ${files} files of a ${kind}, no problems\n`);
  }
  if (problems.length === 0) return;
  const count = `${problems.length} ${problems.length === 1 ? "problem" : "problems"}`;
  throw new CommandFailed("CONFIG_INVALID", `${count} in ${dir}`);
}

const silent = { debug() {}, info() {}, warn() {}, error() {} };
