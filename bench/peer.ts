import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { encodePacket, PacketType, REQ } from "@drover/protocol";

/** Packets that are written at once. */
const BATCH = 1000;
/** A server that says nothing for so long will not say more. */
const SILENCE_MS = 60_000;
/** One that keeps up with a pace has answered this soon. */
const SETTLE_MS = 1_000;

/** A client for what gearbench cannot do: it leaves jobs waiting on the server. */
export class Peer {
  readonly #socket: Socket;
  #tail = Buffer.alloc(0);
  #marks = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk) => {
      // The answers to submissions are known; only the mark that `settled` waits for is looked for.
      this.#tail = Buffer.concat([this.#tail, chunk]).subarray(-64);
    });
  }

  static async connect(port: number): Promise<Peer> {
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    return new Peer(socket);
  }

  /** Submits jobs with uniques of their own, or joins them where they are there already. */
  async submit(
    type: typeof PacketType.SUBMIT_JOB | typeof PacketType.SUBMIT_JOB_BG,
    jobs: number,
    workload: Uint8Array,
  ): Promise<void> {
    for (let from = 0; from < jobs; from += BATCH) {
      const packets: Uint8Array[] = [];
      for (let id = from; id < Math.min(jobs, from + BATCH); id++)
        packets.push(encodePacket(REQ, type, ["waiting", `waiting-${id}`], workload));
      await this.#send(Buffer.concat(packets));
    }
    await this.settled();
  }

  /**
   * Submits background jobs with uniques of their own at a steady pace, until the returned function is called.
   * @returns Ends it, when all of them are answered. Rejects when the server could not keep up.
   */
  pace(perSecond: number, workload: Uint8Array): () => Promise<void> {
    const begun = performance.now();
    let submitted = 0;
    const timer = setInterval(() => {
      const due = Math.floor(((performance.now() - begun) * perSecond) / 1000);
      const packets: Uint8Array[] = [];
      for (; submitted < due; submitted++)
        packets.push(
          encodePacket(REQ, PacketType.SUBMIT_JOB_BG, ["waiting", `paced-${submitted}`], workload),
        );
      this.#socket.write(Buffer.concat(packets));
    }, 1);
    return async () => {
      clearInterval(timer);
      await this.settled(SETTLE_MS);
    };
  }

  /** Waits until everything sent so far is answered: a server answers each connection in order. */
  async settled(deadlineMs: number = SILENCE_MS): Promise<void> {
    const mark = Buffer.from(`settled ${++this.#marks}`);
    await this.#send(encodePacket(REQ, PacketType.ECHO_REQ, [], mark));
    while (!this.#tail.subarray(-mark.length).equals(mark)) await this.#next("data", deadlineMs);
  }

  close(): void {
    this.#socket.destroy();
  }

  async #send(bytes: Uint8Array): Promise<void> {
    if (!this.#socket.write(bytes)) await this.#next("drain");
  }

  async #next(event: "data" | "drain", deadlineMs: number = SILENCE_MS): Promise<void> {
    await once(this.#socket, event, { signal: AbortSignal.timeout(deadlineMs) });
  }
}

/** Jobs that wait or run on a server, of all functions, as the admin protocol tells. */
export async function jobsOn(port: number): Promise<number> {
  const socket = connect(port, "127.0.0.1");
  socket.write("status\n");
  let answer = "";
  for await (const chunk of socket) {
    answer += chunk;
    if (answer.endsWith(".\n")) break;
  }
  const lines = answer.split("\n").slice(0, -2);
  return lines.reduce((sum, line) => sum + Number(line.split("\t")[1]), 0);
}
