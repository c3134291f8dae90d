import { StoreError } from "@drover/server";
import { TransportError } from "@drover/transport";
import type { ConfigInputs } from "../config/resolve.ts";
import { UsageError } from "../errors.ts";
import type { GateWanted, StartedGate } from "../gate/serve.ts";
import { gateOfUp } from "../gate/up.ts";
import { type Started, serve, shownAddress } from "../serve/run.ts";
import { VERSION } from "../version.ts";

/** Runs the server in the foreground, for a person. */
export async function up(inputs: ConfigInputs, gate?: GateWanted): Promise<never> {
  try {
    return await serve({
      inputs,
      quiet: true,
      forPerson: true,
      gate: gate ?? (await gateOfUp(inputs)),
      onReady: (started) => process.stdout.write(welcome(started)),
    });
  } catch (error) {
    if (error instanceof TransportError && error.code === "ADDRESS_IN_USE") {
      const where = /cannot listen on (\S+),/.exec(error.message)?.[1] ?? "the address";
      throw new UsageError(
        "PORT_TAKEN",
        `${where} is taken, perhaps by a job server that runs already.\n` +
          "look at it:        drover status\n" +
          "use another port:  drover up --port 4731",
      );
    }
    if (error instanceof StoreError && error.code === "STORE_IN_USE") {
      throw new UsageError(
        "STORE_IN_USE",
        `${error.detail}\nuse another file:  drover up --store sqlite:FILE`,
      );
    }
    throw error;
  }
}

/** Addresses, where background jobs are, and commands that can be copied. */
export function welcome({ addresses, store, http, gate }: Started): string {
  const page = http.length === 0 ? "" : httpLine(http);
  const gateText = gate === undefined ? "" : gateLines(gate, http);
  const [first] = addresses;
  if (first === undefined)
    return `Drover ${VERSION}: a gate, whose jobs go by a job server elsewhere\n${page}${gateText}Ctrl-C stops it.\n`;
  const tcp = addresses.find(({ transport }) => transport === "tcp");
  const shown = addresses.map(shownAddress).join(" and ");
  const standard = tcp?.port === 4730;
  const to = tcp === undefined ? ` -h ${shownAddress(first)}` : standard ? "" : ` -p ${tcp.port}`;
  const server = tcp === undefined ? shownAddress(first) : `localhost:${tcp.port}`;
  return `Drover ${VERSION}: job server on ${shown}
Background jobs are kept in ${store === "memory" ? "memory only" : store}
${page}
Try it, in another terminal:

  a herd of 1,000 clients that want the same 10 things:
    npx drover demo herd --server ${server}

  a worker of your own, and a job for it:
    npx drover work${to} -f shout -- tr a-z A-Z
    npx drover submit${to} -f shout "hello drover"
${http.length === 0 ? "" : `    curl --data "hello drover" http://${http[0]!.replace("127.0.0.1", "localhost")}/v1/functions/shout/jobs\n`}
  and look at what happens:
    npx drover top${to}

${gateText}Ctrl-C stops it.
`;
}

function httpLine([address]: readonly string[]): string {
  return `Dashboard and HTTP on http://${address!.replace("127.0.0.1", "localhost")}/\n`;
}

/** What there is of the gate, and what to do with it. */
function gateLines({ folder, projects, isolation }: StartedGate, [address]: readonly string[]): string {
  const warning =
    isolation === "bubblewrap" || isolation === null
      ? ""
      : "  builds run without bubblewrap: install it, or trust whoever may push\n";
  const base = address === undefined ? "" : `http://${address.replace("127.0.0.1", "localhost")}`;
  const isUsual = base === "" || base === "http://localhost:4780";
  const sample = projects.find((name) => name === "sample") ?? projects[0];
  return `The gate of ${folder} has ${projects.length} projects: ${projects.slice(0, 5).join(", ")}
${warning}  propose a change, see it tested, and have it merged when it has passed:
    git clone ${base}/git/${sample}.git
    npx drover gate status${isUsual ? "" : ` --server ${base}`}
  its page:  ${base}/#/gate

`;
}
