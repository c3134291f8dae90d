import { connect } from "node:net";
import type { TestServer } from "../peers/servers.ts";
import { until } from "../peers/until.ts";
import { packet, take } from "./wire/packet.ts";

const deadlineMs = 30_000;

/** Asks a text command whose answer is a list, and gives its lines without the last one. */
export function askList(server: TestServer, command: string): Promise<string[]> {
  return new Promise((answer, fail) => {
    const socket = connect(server.port, server.host, () => socket.write(`${command}\n`));
    let text = "";
    socket.setEncoding("latin1");
    socket.on("data", (chunk) => {
      text += chunk;
      if (text !== ".\n" && !text.endsWith("\n.\n")) return;
      socket.destroy();
      answer(text.split("\n").slice(0, -2));
    });
    socket.on("error", fail);
    socket.on("end", () => fail(new Error(`the server ended in the midst of ${command}: ${text}`)));
  });
}

export type FunctionStatus = { total: number; running: number; workers: number };

/** The answer to `status` by function. */
export async function listStatus(server: TestServer): Promise<Map<string, FunctionStatus>> {
  const lines = await askList(server, "status");
  return new Map(
    lines.map((line) => {
      const [name, total, running, workers] = line.split("\t");
      return [name!, { total: Number(total), running: Number(running), workers: Number(workers) }];
    }),
  );
}

/** Waits until what `status` says of a function fits. */
export function untilStatus(
  server: TestServer,
  name: string,
  what: string,
  fits: (status: FunctionStatus) => boolean,
): Promise<boolean> {
  const nothing = { total: 0, running: 0, workers: 0 };
  return until(`${name} has ${what}`, deadlineMs, async () => {
    return fits((await listStatus(server)).get(name) ?? nothing);
  });
}

/** Waits until so many foreground submissions share the job of a unique. */
export async function untilWaiting(server: TestServer, unique: string, count: number): Promise<void> {
  await until(`${count} submissions wait for ${unique}`, deadlineMs, async () => {
    return (await countWaiting(server, unique)) === count;
  });
}

function countWaiting(server: TestServer, unique: string): Promise<number> {
  return new Promise((answer, fail) => {
    const question = packet("GET_STATUS_UNIQUE", Buffer.from(unique));
    const socket = connect(server.port, server.host, () => socket.write(question));
    let bytes = Buffer.alloc(0);
    socket.on("data", (chunk) => {
      bytes = Buffer.concat([bytes, chunk]);
      const taken = take(bytes);
      if (taken?.received.kind !== "packet") return;
      socket.destroy();
      answer(Number(taken.received.body.toString("latin1").split("\0")[5]));
    });
    socket.on("error", fail);
  });
}
