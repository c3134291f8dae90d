import { existsSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { type ConfigInputs, resolveConfig } from "../config/resolve.ts";
import { DEFAULT_PORT } from "../server-address.ts";
import { defaultGateFolder, keepToken } from "./place.ts";
import type { GateWanted } from "./serve.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };

/**
 * The gate of `drover up`, which is made when it is not there. A server on any free port is a passing one and has none; so has
 * a machine without git, which is told.
 */
export async function gateOfUp(inputs: ConfigInputs): Promise<GateWanted | undefined> {
  const { port = DEFAULT_PORT } = resolveConfig(inputs).server;
  if (port === 0) return undefined;
  const folder = defaultGateFolder(port);
  const { gitVersion, initGate } = await import("@drover/gate");
  try {
    await gitVersion();
    if (!existsSync(join(folder, "gate.yaml"))) {
      const { token } = await initGate(folder, {
        log: silent,
        user: userInfo().username,
        // Whoever starts it on his own machine is alone.
        selfApproval: true,
      });
      keepToken(folder, token);
    }
    return { folder };
  } catch (error) {
    process.stderr.write(`drover: without a gate: ${(error as Error).message}\n`);
    return undefined;
  }
}
