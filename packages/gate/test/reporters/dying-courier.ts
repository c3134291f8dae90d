import { join } from "node:path";
import { GateDatabase } from "../../src/index.ts";
import { Courier, OUTBOX_MIGRATIONS, Outbox } from "../../src/reporters/index.ts";
import { letterOf } from "./stage.ts";

/* A process that writes a report and brings it to a command, which ends the process the hard way. */

const folder = process.argv[2]!;
const database = new GateDatabase(join(folder, "gate.db"), OUTBOX_MIGRATIONS);
const outbox = new Outbox(database);
const argv = [join(folder, "hook")];
const silent = (): void => {};
const courier = new Courier({
  ...{
    outbox,
    folder,
    nowMs: () => 1_000,
    log: { debug: silent, info: silent, warn: silent, error: silent },
  },
  connection: (name) => ({ driver: "command", name, argv, timeoutMs: 60_000, maxOutputBytes: 1_000 }),
});
database.transaction(() => {
  outbox.add("hook", "local:1", letterOf("hook"), 1_000);
  database.afterCommit(() => courier.wake());
});
