import { connect, type Socket } from "node:net";
import { encodePacket, Found, PacketStream, PacketType, REQ } from "@drover/protocol";

/**
 * A client and a worker on connections of their own, which do jobs while others misbehave, and check that every
 * answer is the right one and comes.
 */
export class Bystander {
  /** Jobs done and checked. */
  done = 0;
  /** What went wrong, empty when nothing did. */
  readonly problems: string[] = [];
  /** Longest wait for a result, in milliseconds. */
  longestMs = 0;
  readonly #client: Socket;
  readonly #worker: Socket;
  #expected = "";
  #submittedMs = 0;
  #stopped = false;
  #resolve: (() => void) | undefined;

  constructor(path: string) {
    this.#worker = connect(path);
    this.#worker.write(encodePacket(REQ, PacketType.CAN_DO, ["bystander"]));
    this.#worker.write(encodePacket(REQ, PacketType.GRAB_JOB));
    receive(this.#worker, (type, args, data) => {
      if (type === PacketType.JOB_ASSIGN) {
        this.#worker.write(encodePacket(REQ, PacketType.WORK_COMPLETE, [args[0]!], data.toReversed()));
        this.#worker.write(encodePacket(REQ, PacketType.GRAB_JOB));
      } else if (type === PacketType.NO_JOB) this.#worker.write(encodePacket(REQ, PacketType.PRE_SLEEP));
      else if (type === PacketType.NOOP) this.#worker.write(encodePacket(REQ, PacketType.GRAB_JOB));
      else this.problems.push(`the worker got packet type ${type}`);
    });
    this.#client = connect(path);
    receive(this.#client, (type, _args, data) => {
      if (type === PacketType.JOB_CREATED) return;
      const text = Buffer.from(data).toString();
      if (type !== PacketType.WORK_COMPLETE) this.problems.push(`the client got packet type ${type}`);
      else if (text !== this.#expected) this.problems.push(`got ${text} for ${this.#expected}`);
      this.longestMs = Math.max(this.longestMs, performance.now() - this.#submittedMs);
      this.done++;
      if (this.#stopped) this.#finish();
      else this.#submit();
    });
    for (const socket of [this.#client, this.#worker]) {
      socket.on("error", (error) => this.problems.push(String(error)));
      socket.on("close", () => {
        if (!this.#stopped) this.problems.push("a connection of the bystander was closed");
      });
    }
    this.#submit();
  }

  /** Resolves when the job under way has come back too. */
  stop(): Promise<void> {
    this.#stopped = true;
    return new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  #submit(): void {
    const workload = Buffer.from(`job ${this.done}`);
    this.#expected = Buffer.from(workload.toReversed()).toString();
    this.#submittedMs = performance.now();
    this.#client.write(encodePacket(REQ, PacketType.SUBMIT_JOB, ["bystander", ""], workload));
  }

  #finish(): void {
    this.#client.destroy();
    this.#worker.destroy();
    this.#resolve?.();
  }
}

function receive(
  socket: Socket,
  packet: (type: number, args: readonly string[], data: Uint8Array) => void,
): void {
  const stream = new PacketStream({ maxBodyBytes: 1 << 20, maxLineBytes: 8192 });
  socket.on("data", (chunk) => {
    stream.push(chunk);
    while (stream.next() === Found.PACKET) {
      const { args, data } = stream.decode();
      packet(stream.type, args, data);
    }
  });
}
