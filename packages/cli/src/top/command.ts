import { Command } from "commander";
import { addServerAddress, isServerNamed, type ServerFlags, serverTarget } from "../server-address.ts";
import { durationMs } from "../times.ts";

/** `drover top`: the functions of a server, live. */
export function topCommand(): Command {
  const command = new Command("top")
    .summary("watch a server live: functions, rates, join ratio")
    .description("Shows the functions of a job server live, with rates per second and join ratios.");
  return addServerAddress(command)
    .option("--http <url>", "the server's HTTP address, which tells more, such as the oldest job's age")
    .option("--interval <duration>", "between two looks", "1s")
    .option("--once", "print one table, with the rates of one interval, and end")
    .addHelpText(
      "after",
      `
Keys: q ends, p pauses, left and right choose the column to sort by, r turns the order round, up and down scroll.
Where standard output is no terminal, a table is printed at each interval.
Where no server is named, http://localhost:4780 is asked, and if that does not answer the Gearman port.

Examples:
  drover top
  drover top -h jobs.example:4730 --interval 5s
  drover top --http https://jobs.example --token-file token
  drover top --once

Exit codes: 0 ended by a key or signal, 1 the server gave no answer, 2 wrong options or no server.`,
    )
    .action(async (flags: ServerFlags & { http?: string; interval: string; once?: boolean }) => {
      const { top } = await import("./run.ts");
      const { openSource } = await import("./sources.ts");
      const intervalMs = Math.max(100, durationMs(flags.interval, "--interval"));
      await top({
        source: await openSource(flags.http, serverTarget(flags), isServerNamed(flags)),
        intervalMs,
        once: flags.once === true,
      });
    });
}
