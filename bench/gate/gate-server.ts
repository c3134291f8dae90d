import { GATE_FUNCTION_RULES, GATE_FUNCTIONS } from "@drover/gate";
import { JobServer } from "@drover/server";

export const silent = { debug() {}, info() {}, warn() {}, error() {} };

/** A job server for a gate of this process. */
export function gateServer(): Promise<JobServer> {
  return JobServer.start({
    listen: [],
    log: silent,
    version: "bench",
    reserved: [GATE_FUNCTIONS],
    functions: GATE_FUNCTION_RULES,
  });
}
