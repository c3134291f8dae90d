import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import type { TrialClone, TrialPlan } from "@drover/gate";
import { printable } from "@drover/protocol";
import { durationText } from "../terminal/table.ts";
import { jobLines } from "./explain.ts";
import { slotsOf } from "./local.ts";
import { passingServer, silent } from "./passing-server.ts";
import { problemLine } from "./run.ts";

export interface TryFlags {
  readonly branch?: string;
  readonly pipeline?: string;
  readonly run?: boolean;
  readonly slots?: string;
  readonly json?: boolean;
}

/** Lines of the log of a build that did not succeed. */
const SHOWN_LINES = 40;

/** `drover gate try [CLONE…]` */
export async function tryClones(places: readonly string[], flags: TryFlags): Promise<void> {
  const slots = slotsOf(flags.slots) ?? availableParallelism();
  const { readClone, Trial } = await import("@drover/gate");
  const clones: TrialClone[] = [];
  for (const place of places.length === 0 ? ["."] : places) clones.push(await readClone(place, flags.branch));
  const folder = mkdtempSync(join(tmpdir(), "drover-try-"));
  const clean = (): void => rmSync(folder, { recursive: true, force: true });
  process.once("exit", clean);
  const server = await passingServer();
  try {
    const { pipeline } = flags;
    const given = pipeline === undefined ? {} : { pipeline };
    const trial = await Trial.open({
      folder: join(folder, "gate"),
      clones,
      server,
      log: silent,
      slots,
      ...given,
    });
    try {
      const plan = await trial.plan();
      const say = (lines: readonly string[]): void => {
        if (flags.json !== true) process.stdout.write(lines.map((line) => `${line}\n`).join(""));
      };
      say(planLines(plan, clones));
      if (flags.run !== true) {
        if (flags.json === true) process.stdout.write(`${JSON.stringify(plan)}\n`);
        if (plan.merged === null) process.exitCode = 1;
        return;
      }
      const ran: object[] = [];
      const hasPassed = await trial.run(async ({ id, job, result, detail, startedMs, endedMs }, log) => {
        const tookMs = endedMs! - startedMs;
        ran.push({ id: String(id), job, result, detail, tookMs });
        const why = detail === null ? "" : `: ${printable(detail, 1_000)}`;
        say([`${printable(job)} ${result} in ${durationText(tookMs)}${why}`]);
        if (result !== "SUCCESS") say(logLines((await log()).toString()));
      });
      const { decisions } = await trial.explain();
      say(["", ...decisions.map(({ text }) => `It ${printable(text, 1_000)}.`)]);
      if (flags.json === true)
        process.stdout.write(`${JSON.stringify({ ...plan, ran, hasPassed, decisions })}\n`);
      if (!hasPassed) process.exitCode = 1;
    } finally {
      await trial.close();
    }
  } finally {
    await server.stop(0);
    clean();
    process.off("exit", clean);
  }
}

function planLines(plan: TrialPlan, clones: readonly TrialClone[]): string[] {
  const { chain, pipeline, isStarter, merged, explanation, configProblems } = plan;
  const lines: string[] = [];
  for (const { path, isDirty } of clones)
    if (isDirty) lines.push(`note: ${path} has work that no commit has, which is not tried`);
  if (isStarter)
    lines.push(
      "note: no clone defines pipelines, so those of drover gate init are taken; name the clone of your config-project as well",
    );
  for (const problem of configProblems) lines.push(`note: ${problemLine(problem)}`);
  if (configProblems.some(({ message }) => message.includes("not defined")))
    lines.push("note: what another repository defines is known when its clone is named before this one");
  lines.push(`Merged in this order, of which the last is tried in ${printable(pipeline)}:`);
  for (const { project, branch, commit, title } of chain)
    lines.push(
      `  ${printable(project)} ${printable(branch)} ${commit.slice(0, 10)} ${printable(title, 200)}`,
    );
  const last = chain.at(-1)!;
  const where = `${printable(last.project)} ${printable(last.branch)}`;
  lines.push(merged === null ? `${where} does not become anything:` : `${where} would become ${merged}`);
  if (merged === null) {
    lines.push(...explanation.now.map((text) => `  ${printable(text, 1_000)}`));
    lines.push(...explanation.decisions.map(({ text }) => `  it ${printable(text, 1_000)}`));
  }
  return [...lines, "", ...explanation.jobs.flatMap(jobLines)];
}

function logLines(text: string): string[] {
  const lines = text.trimEnd().split("\n");
  const shown = lines.slice(-SHOWN_LINES);
  const left = lines.length - shown.length;
  return [
    ...(left > 0 ? [`  … ${left} lines before`] : []),
    ...shown.map((line) => `  ${printable(line, 1_000)}`),
  ];
}
