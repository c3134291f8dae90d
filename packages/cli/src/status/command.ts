import { Command } from "commander";
import { addServerAddress, type ServerFlags, serverTarget } from "../server-address.ts";

/** `drover status`: the functions of a server, once. */
export function statusCommand(): Command {
  const command = new Command("status")
    .summary("show the functions of a server: queued, running, workers, join ratio")
    .description("Shows the functions of a job server. Works with gearmand too, as far as it tells.");
  return addServerAddress(command)
    .option("--fleet", "the servers of its fleet instead: health, and who owns how much")
    .option("--json", "as JSON")
    .addHelpText(
      "after",
      `
The join ratio is submissions per execution: 10.0 means that joining saved nine of ten.

Examples:
  drover status
  drover status -h jobs.example:4730 --json | jq '.functions[] | select(.queued > 100)'

Exit codes: 0 shown, 1 the server gave no answer, 2 wrong options or no server.`,
    )
    .action(async (values: ServerFlags & { json?: boolean; fleet?: boolean }) => {
      if (values.fleet === true) {
        const { showFleet } = await import("./fleet.ts");
        return showFleet(serverTarget(values), values.json === true);
      }
      const { showStatus } = await import("./show.ts");
      await showStatus(serverTarget(values), values.json === true);
    });
}
