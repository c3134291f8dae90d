import { Command } from "commander";
import { addServerOptions, serveInputs } from "../serve/flags.ts";

/** `drover up`: everything that there is, with defaults that work. */
export function upCommand(): Command {
  const command = new Command("up")
    .summary("start everything on this machine, and say what to try first")
    .description("Starts a job server for this machine only, and says what to try first. Ctrl-C stops it.");
  addServerOptions(command);
  return command
    .option("--config <file>", "drover.yaml (default: DROVER_CONFIG, else ./drover.yaml where there is one)")
    .addHelpText(
      "after",
      "\nExit codes: 0 stopped as asked, 1 failed or stopped at once, 2 port in use, wrong options.",
    )
    .action(async (values: Record<string, unknown>) => {
      const { up } = await import("./run.ts");
      await up(serveInputs(values));
    });
}
