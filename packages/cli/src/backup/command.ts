import { Command } from "commander";
import type { BackupFlags } from "./run.ts";

const STORE =
  "sqlite:FILE or postgres://USER@HOST/DATABASE (default: DROVER_STORE, else that of ./drover.yaml)";
const SERVER = "whose jobs, in a database of several servers (default: this host's name)";

function withStore(command: Command): Command {
  return command
    .option("--store <where>", STORE)
    .option("--server-name <name>", SERVER)
    .option("--config <file>", "drover.yaml (default: DROVER_CONFIG, else ./drover.yaml where there is one)");
}

/** `drover backup FILE`, `drover backup verify FILE`. */
export function backupCommand(): Command {
  const backup = withStore(new Command("backup"))
    .summary("copy a store to a file, while its server goes on")
    .description(
      "Copies what a store holds at this moment to a new file, while its server goes on. The file is a store itself: " +
        "`drover restore` puts it into another one, and `drover serve --store sqlite:FILE` runs with it.",
    )
    .argument("<file>", "the new file; there is one only when it is whole")
    .addHelpText(
      "after",
      `
Examples:
  drover backup --store sqlite:/var/lib/drover/jobs.db /backup/jobs-$(date +%F).db
  drover backup verify /backup/jobs-2030-01-31.db

Exit codes: 0 done, 1 damaged, 2 wrong options, or a store or file that cannot be used.`,
    )
    .action(async (file: string, flags: BackupFlags) => {
      const { backup } = await import("./run.ts");
      await backup(file, flags);
    });
  const verify = new Command("verify")
    .description("Restores a backup into a scratch store, and counts and checks what came back.")
    .argument("<file>", "the backup")
    .action(async (file: string) => {
      const { verify } = await import("./run.ts");
      await verify(file);
    });
  return backup.addCommand(verify);
}

/** `drover restore FILE`. */
export function restoreCommand(): Command {
  return withStore(new Command("restore"))
    .summary("put a backup into a new store")
    .description(
      "Puts the jobs of a backup into a store that has none, whose server does not run. Jobs keep their handles; those that " +
        "were running run again.",
    )
    .argument("<file>", "the backup")
    .action(async (file: string, flags: BackupFlags) => {
      const { restore } = await import("./run.ts");
      await restore(file, flags);
    });
}

/** `drover import gearmand-sqlite FILE`. */
export function importCommand(): Command {
  const command = new Command("import")
    .summary("take over another server's queue")
    .description("Takes over the background jobs of another job server.");
  const sqlite = withStore(new Command("gearmand-sqlite"))
    .description(
      "Adds the jobs of gearmand's libsqlite3 queue to a store whose server does not run. Stop gearmand first; its file stays " +
        "as it is. Uniques, priorities and times are kept, handles are new ones.",
    )
    .argument("<file>", "gearmand's --libsqlite3-db")
    .option("--table <name>", "gearmand's --libsqlite3-table", "gearman_queue")
    .action(async (file: string, flags: BackupFlags & { readonly table: string }) => {
      const { importGearmand } = await import("./run.ts");
      await importGearmand(file, flags);
    });
  return command.addCommand(sqlite);
}
