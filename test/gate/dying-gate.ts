import { GATE_FUNCTION_RULES, GATE_FUNCTIONS, Gate } from "../../packages/gate/src/index.ts";
import { dyingLog } from "../../packages/gate/test/forge/dying-log.ts";
import { JobServer } from "../../packages/server/src/index.ts";

/* A process of its own that approves changes, merges them and is killed on the way: `node dying-gate.ts FOLDER CHANGES STEP`. */

const [folder, changes, deadlyStep] = process.argv.slice(2) as [string, string, string];
const log = dyingLog(deadlyStep);
const server = await JobServer.start({
  listen: ["127.0.0.1:0"],
  version: "0",
  log,
  functions: GATE_FUNCTION_RULES,
  reserved: [GATE_FUNCTIONS],
});
const gate = await Gate.open({ folder, server, log, slots: 50, directPush: true });
for (const change of changes.split(",")) gate.forge.approve(Number(change), { name: "bob", role: "user" });
