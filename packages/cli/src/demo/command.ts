import { Command } from "commander";
import { serverAddress } from "../server-address.ts";
import { countOf, durationMs } from "../times.ts";

interface HerdFlags {
  readonly clients: string;
  readonly uniques: string;
  readonly workers: string;
  readonly duration: string;
  readonly server?: string;
  readonly late?: boolean;
  readonly killWorker?: boolean;
  readonly json?: boolean;
}

/** `drover demo`: what Drover does, to be watched. */
export function demoCommand(): Command {
  const demo = new Command("demo")
    .summary("show what joining does: drover demo herd")
    .description("Demonstrations. Each checks what it shows, and exits with 0 only when it was right.");
  demo.addCommand(
    new Command("herd")
      .summary("a thousand clients want the same ten things at once")
      .description(
        "Many clients, each on a connection of its own, submit a few uniques at once. Workers count how often they " +
          "really run, and stream partial data, a warning and progress. Every client must see all of it.",
      )
      .option("--clients <n>", "submitters", "1000")
      .option("--uniques <n>", "different things they want", "10")
      .option("--workers <n>", "workers, each on a connection of its own", "4")
      .option("--duration <time>", "how long one execution takes at least", "1s")
      .option("--late", "half of the clients submit only when the others have seen half of the data")
      .option("--kill-worker", "cut one worker's connection in the middle of its jobs")
      .option("--server <address>", "use this job server (default: one of its own on a free port)")
      .option("--json", "print the figures as JSON")
      .addHelpText(
        "after",
        `
Examples:
  drover demo herd
  drover demo herd --clients 200 --uniques 1 --late
  drover demo herd --kill-worker
  drover demo herd --server localhost:4730     (watch it with: drover top)

Exit codes: 0 everything was right, 1 something was not, 2 wrong options or no server.`,
      )
      .action(async (flags: HerdFlags) => {
        const { demoHerd } = await import("./herd.ts");
        await demoHerd({
          clients: countOf(flags.clients, "--clients"),
          uniques: countOf(flags.uniques, "--uniques"),
          workers: countOf(flags.workers, "--workers"),
          durationMs: durationMs(flags.duration, "--duration"),
          server: flags.server === undefined ? undefined : serverAddress({ host: flags.server }),
          late: flags.late === true,
          killWorker: flags.killWorker === true,
          json: flags.json === true,
        });
      }),
  );
  return demo;
}
