import { Command } from "commander";
import type { DrillFlags } from "./run.ts";

/** `drover drill`: game days, while the sun is shining. */
export function drillCommand(): Command {
  return new Command("drill")
    .summary("practise a failure, and see what holds")
    .description(
      "Plays a failure against a scratch server that it starts itself: says what will happen and what should hold, does it, " +
        "checks it, and writes a short report. Without a name, lists the drills.",
    )
    .argument("[name]", "the drill, or all")
    .option(
      "--target <address>",
      "a real server, for the drills that do it no harm; it should be a staging one",
    )
    .option("--confirm <address>", "the target once more: yes, that one")
    .option("--report <file>", "the report, in Markdown (default: ./drover-drill-NAME.md)")
    .addHelpText(
      "after",
      `
Examples:
  drover drill                         lists them
  drover drill server-kill
  drover drill all --report drills.md
  drover drill worker-loss --target staging:4730 --confirm staging:4730

Exit codes: 0 everything held, 1 something did not, 2 wrong options.`,
    )
    .action(async (name: string | undefined, flags: DrillFlags) => {
      const { listDrills, runDrills } = await import("./run.ts");
      if (name === undefined) listDrills();
      else await runDrills(name, flags);
    });
}
