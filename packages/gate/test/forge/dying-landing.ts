import { join } from "node:path";
import { FORGE_MIGRATIONS, GateDatabase, LocalForge } from "../../src/index.ts";
import { dyingLog } from "./dying-log.ts";

/* A process of its own that lands a cycle and is killed on the way: `node dying-landing.ts FOLDER JSON STEP`. */

const [folder, landings, deadlyStep] = process.argv.slice(2) as [string, string, string];
const log = dyingLog(deadlyStep);
const forge = await LocalForge.open({
  database: new GateDatabase(join(folder, "gate.db"), FORGE_MIGRATIONS),
  folder: join(folder, "repositories"),
  log,
  onEvents: () => {},
});
const { refused } = await forge.landTogether("1", JSON.parse(landings));
process.stdout.write(JSON.stringify({ refused }));
process.exit(0);
