import { Command } from "commander";
import { addServerOption } from "../server-address.ts";
import type { GateDemoFlags } from "./gate.ts";
import type { HerdFlags } from "./herd.ts";

const DEMOS = [
  ["herd", "a thousand clients want the same ten things; ten pieces of work are done"],
  ["gate", "twelve changes to three repositories; those that would break something are not merged"],
] as const;

/** `drover demo`: shows what Drover does, and checks it. */
export function demoCommand(): Command {
  const demo = new Command("demo")
    .summary("see what it does: `drover demo herd`")
    .description("Shows what Drover does, and checks that it is right. Without a name, lists the demos.")
    .action(() => {
      process.stdout.write("Demos:\n");
      for (const [name, what] of DEMOS) process.stdout.write(`  drover demo ${name.padEnd(8)} ${what}\n`);
    });
  const herd = new Command("herd").description(
    "Clients, each on a connection of its own, submit the same few uniques. Workers stream data, a warning and " +
      "progress, then a result. Counts what was done, and checks that every client of a unique got the same, whole.",
  );
  addServerOption(herd)
    .option("--clients <number>", "submitters", "1000")
    .option("--uniques <number>", "different things that they want", "10")
    .option("--workers <number>", "workers, one job at a time each", "4")
    .option("--late", "half of the clients come when the work is half done: they get what they missed")
    .option("--kill-worker", "a worker dies in the middle of a job: another one takes over")
    .option("--duration <duration>", "how long one execution takes at least", "1s")
    .option("--timeout <duration>", "give up after so long", "60s")
    .option("--json", "the report as JSON")
    .addHelpText(
      "after",
      `
Examples:
  drover demo herd                                  with a server of its own
  drover demo herd --late --kill-worker
  drover demo herd --server localhost:4730 --clients 5000 --uniques 1

Exit codes: 0 one execution for each unique and every stream right, 1 not so, 2 wrong options, no server, or
too few open files allowed.`,
    )
    .action(async (flags: HerdFlags) => {
      const { herdDemo } = await import("./herd.ts");
      await herdDemo(flags);
    });
  const gate = new Command("gate")
    .description(
      "Three repositories and twelve changes in a gate of its own: some need each other, one breaks another repository, " +
        "two do not go together, one conflicts, and one meets a failure that passes. Shows the queue, and checks what is merged.",
    )
    .option("--slots <number>", "builds at a time", "4")
    .option("--timeout <duration>", "give up after so long", "180s")
    .option("--keep", "leave the repositories in the temporary folder")
    .option("--json", "the report as JSON")
    .addHelpText(
      "after",
      "\nExit codes: 0 exactly the good changes were merged, 1 not so, 2 wrong options or no git.",
    )
    .action(async (flags: GateDemoFlags) => {
      const { gateDemo } = await import("./gate.ts");
      await gateDemo(flags);
    });
  return demo.addCommand(herd).addCommand(gate);
}
