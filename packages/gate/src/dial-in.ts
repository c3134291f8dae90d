import { Identity, type JobServer } from "@drover/server";
import { type Connection, memoryPair } from "@drover/transport";

/** Beginning of the functions that are the gate's own: `reserved` of a job server that has a gate. */
export const GATE_FUNCTIONS = "gate:";

/** Rights of what is in the process with the job server. */
const GATE_IDENTITY = new Identity("gate", {
  submit: [`${GATE_FUNCTIONS}*`],
  work: [`${GATE_FUNCTIONS}*`],
  status: true,
  admin: false,
});

/** Connections to a job server in this process, with the rights of the gate. */
export function dialIn(server: JobServer): () => Promise<Connection> {
  return async () => {
    const [own, others] = memoryPair({}, ["gate", "gate"]);
    server.accept(others, GATE_IDENTITY);
    return own;
  };
}
