import type { JobServer } from "@drover/server";
import { VERSION } from "../version.ts";

export const silent = { debug() {}, info() {}, warn() {}, error() {} };

/** A job server without ports, for a gate that is gone when this command ends. */
export async function passingServer(): Promise<JobServer> {
  const [{ GATE_FUNCTION_RULES, GATE_FUNCTIONS }, { JobServer }] = await Promise.all([
    import("@drover/gate"),
    import("@drover/server"),
  ]);
  return JobServer.start({
    listen: [],
    log: silent,
    version: VERSION,
    reserved: [GATE_FUNCTIONS],
    functions: GATE_FUNCTION_RULES,
  });
}
