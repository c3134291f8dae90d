import { writeFileSync } from "node:fs";
import { suggestion } from "../config/nearest.ts";
import { CommandFailed, EXIT, UsageError } from "../errors.ts";
import { serverAddress } from "../server-address.ts";
import { DRILLS, type Drill } from "./drills.ts";
import { refuseTarget, Stage } from "./stage.ts";

export interface DrillFlags {
  readonly target?: string;
  readonly confirm?: string;
  readonly report?: string;
}

export function listDrills(): void {
  process.stdout.write("Drills:\n");
  for (const { name, title } of DRILLS) process.stdout.write(`  drover drill ${name.padEnd(15)} ${title}\n`);
  process.stdout.write("  drover drill all             all of them, one after another\n");
}

/** Plays drills, writes their report, and sets the exit code. */
export async function runDrills(name: string, flags: DrillFlags): Promise<void> {
  const drills =
    name === "all" ? DRILLS.filter((drill) => flags.target === undefined || drill.onTarget) : [drillOf(name)];
  const target = targetOf(flags);
  for (const drill of drills) if (target !== undefined && !drill.onTarget) refuseTarget(drill.name);
  const reports: string[] = [];
  let held = true;
  for (const drill of drills) {
    const report = await play(drill, target);
    held &&= report.held;
    reports.push(report.markdown);
  }
  const file = flags.report ?? `drover-drill-${name}.md`;
  writeFileSync(file, reports.join("\n"));
  process.stdout.write(`report: ${file}\n`);
  process.exitCode = held ? EXIT.ok : EXIT.failed;
}

function drillOf(name: string): Drill {
  const found = DRILLS.find((drill) => drill.name === name);
  if (found !== undefined) return found;
  const known = [...DRILLS.map((drill) => drill.name), "all"];
  throw new UsageError(
    "OPTION_INVALID",
    `there is no drill ${JSON.stringify(name)}${suggestion(name, known)}`,
  );
}

/** @throws UsageError unless the target was named twice. */
function targetOf({ target, confirm }: DrillFlags): string | undefined {
  if (target === undefined) return undefined;
  if (confirm !== target) {
    throw new UsageError(
      "OPTION_INVALID",
      `this puts real load on ${target} and kills workers of its own there: say --confirm ${target} as well`,
    );
  }
  return serverAddress({ host: target });
}

async function play(drill: Drill, target: string | undefined): Promise<{ held: boolean; markdown: string }> {
  const say = (text: string) => process.stdout.write(text);
  say(`${drill.name}: ${drill.title}\n\nwhat will happen\n`);
  for (const line of drill.plan) say(`  - ${line}\n`);
  say("what should hold\n");
  for (const line of drill.promises) say(`  - ${line}\n`);
  say("\n");
  const beganMs = performance.now();
  const stage = await Stage.set(target, drill.settings ?? {}, say);
  try {
    await drill.play(stage);
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    stage.check("the drill comes to its end", false, error.message);
  } finally {
    await stage.clear();
  }
  const seconds = ((performance.now() - beganMs) / 1000).toFixed(1);
  const held = stage.checks.length > 0 && stage.checks.every(({ holds }) => holds);
  const verdict = held ? `all held, in ${seconds} s` : `NOT everything held, after ${seconds} s`;
  say(`\n${drill.name}: ${verdict}\n\n`);
  return { held, markdown: markdownOf(drill, stage, target, verdict) };
}

function markdownOf(drill: Drill, stage: Stage, target: string | undefined, verdict: string): string {
  const list = (lines: readonly string[]) => lines.map((line) => `- ${line}`).join("\n");
  const events = stage.events.map(({ ms, text }) => `| ${ms} | ${text} |`).join("\n");
  const checks = stage.checks
    .map(({ what, holds, seen }) => `| ${what} | ${seen} | ${holds ? "yes" : "**no**"} |`)
    .join("\n");
  return `# Drill ${drill.name}: ${drill.title}

${new Date().toISOString()}, ${target === undefined ? "on a scratch server" : `on ${target}`}: **${verdict}**.

What was to happen:

${list(drill.plan)}

What was to hold:

${list(drill.promises)}

| ms | what happened |
| --: | --- |
${events}

| what had to hold | what was seen | held |
| --- | --- | --- |
${checks}
`;
}
