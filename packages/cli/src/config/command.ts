import { Command } from "commander";
import { addServerOptions, collect, serveInputs } from "../serve/flags.ts";

const EXAMPLES = `
Examples:
  drover config check                    is ./drover.yaml right?
  drover config check /etc/drover.yaml
  drover config show                     what would be in force here, and where each value comes from
  drover config show -p 4731 --json

Exit codes: 0 right, 1 something is wrong (each problem with its file, line and column), 2 wrong options.`;

/** `drover config check` and `drover config show`. */
export function configCommand(): Command {
  const command = new Command("config")
    .summary("check the configuration, or show what is in force")
    .description(
      "Checks drover.yaml, or shows the configuration that is in force and where each value comes from.",
    )
    .addHelpText("after", EXAMPLES);
  const check = new Command("check")
    .description("Checks a drover.yaml, with the environment and the flags given.")
    .argument("[file]", "drover.yaml (default: DROVER_CONFIG, else ./drover.yaml)");
  const show = new Command("show")
    .description("Shows the configuration in force, and where each value comes from.")
    .argument("[file]", "drover.yaml (default: DROVER_CONFIG, else ./drover.yaml)")
    .option("--json", "as JSON");
  for (const sub of [check, show]) {
    addServerOptions(sub);
    sub.option("--config-file <file>", "gearmand's configuration file; may be given several times", collect);
    sub.action(async (file: string | undefined, values: Record<string, unknown>) => {
      const { checkConfig, showConfig } = await import("./show.ts");
      const inputs = serveInputs({ ...values, config: file });
      if (sub === check) await checkConfig(inputs);
      else showConfig(inputs, values.json === true);
    });
  }
  return command.addCommand(check).addCommand(show);
}
