import { encodePacket, Found, indexOfNul, PacketStream, PacketType, REQ } from "@drover/protocol";
import { type Connection, type ConnectionHandlers, dial } from "@drover/transport";
import { JobServer } from "./job-server.ts";

const FUNCTION = "warm-up";
const GRAB = encodePacket(REQ, PacketType.GRAB_JOB_UNIQ);
const PRE_SLEEP = encodePacket(REQ, PacketType.PRE_SLEEP);
const WORKLOAD = new Uint8Array(64);
const LIMITS = { maxBodyBytes: 1024, maxLineBytes: 1024 };

/** Pairs of a client and a worker, jobs that each client waits for, and the share of the time. */
const LOADS = [
  { pairs: 1, depth: 1, share: 0.4 },
  { pairs: 8, depth: 4, share: 0.6 },
];

/**
 * Serves a scratch server's clients and workers in this process for a while, over loopback, so that the runtime has
 * compiled what a server does before the first of its peers asks: after a restart they all come at once.
 * @throws TransportError where there is no loopback.
 */
export async function warmUp(forMs: number): Promise<void> {
  const silent = () => {};
  const log = { debug: silent, info: silent, warn: silent, error: silent };
  const server = await JobServer.start({ listen: ["127.0.0.1:0"], log, version: "" });
  const address = `127.0.0.1:${server.addresses[0]!.port}`;
  const parties: Party[] = [];
  try {
    for (const { pairs, depth, share } of LOADS) {
      for (let i = 0; i < pairs; i++) {
        parties.push(new WarmWorker(await dial(address)), new WarmClient(await dial(address), depth));
      }
      await new Promise((resolve) => setTimeout(resolve, forMs * share));
    }
  } finally {
    for (const { connection } of parties) connection.destroy();
    await server.stop(0);
  }
}

/** A peer of the scratch server. */
abstract class Party implements ConnectionHandlers {
  readonly connection: Connection;
  readonly #stream = new PacketStream(LIMITS);
  #packets: Uint8Array[] = [];

  constructor(connection: Connection) {
    this.connection = connection;
    connection.attach(this);
  }

  data(chunk: Uint8Array): void {
    this.#stream.push(chunk);
    while (this.#stream.next() === Found.PACKET) this.receive(this.#stream);
    this.send();
  }

  drain(): void {}
  close(): void {}

  protected abstract receive(packet: PacketStream): void;

  protected add(type: number, args: readonly string[], data?: Uint8Array): void {
    this.#packets.push(encodePacket(REQ, type, args, data));
  }

  protected addEncoded(packet: Uint8Array): void {
    this.#packets.push(packet);
  }

  protected send(): void {
    if (this.#packets.length > 0) this.connection.send(this.#packets);
    this.#packets = [];
  }
}

class WarmWorker extends Party {
  constructor(connection: Connection) {
    super(connection);
    this.add(PacketType.CAN_DO, [FUNCTION]);
    this.addEncoded(GRAB);
    this.send();
  }

  protected override receive({ type, bytes, start, end }: PacketStream): void {
    if (type === PacketType.NO_JOB) this.addEncoded(PRE_SLEEP);
    else if (type === PacketType.NOOP) this.addEncoded(GRAB);
    else if (type === PacketType.JOB_ASSIGN_UNIQ) {
      const handle = Buffer.from(bytes.subarray(start, indexOfNul(bytes, start, end))).toString("latin1");
      this.add(PacketType.WORK_COMPLETE, [handle], WORKLOAD);
      this.addEncoded(GRAB);
    }
  }
}

class WarmClient extends Party {
  #submitted = 0;

  constructor(connection: Connection, depth: number) {
    super(connection);
    for (let i = 0; i < depth; i++) this.#submit();
    this.send();
  }

  protected override receive({ type }: PacketStream): void {
    if (type === PacketType.WORK_COMPLETE) this.#submit();
  }

  /** A job to wait for, and now and then one that nobody waits for. */
  #submit(): void {
    const unique = `a unique of the usual length ${this.#submitted++} ${Math.random()}`;
    this.add(PacketType.SUBMIT_JOB, [FUNCTION, unique], WORKLOAD);
    if (this.#submitted % 4 === 0)
      this.add(PacketType.SUBMIT_JOB_BG, [FUNCTION, `${unique} later`], WORKLOAD);
  }
}
