import {
  byteString,
  bytesOf,
  encodePacket,
  Found,
  type PacketName,
  PacketStream,
  PacketType,
  packetName,
  RES,
} from "@drover/protocol";
import { type MemoryConnection, MemoryNetwork } from "@drover/transport";

const LIMITS = { maxBodyBytes: 100_000_000, maxLineBytes: 100 };

/** A connection as the scripted server sees it. Requests come as words: `SUBMIT_JOB f u workload`. */
export class ScriptedPeer {
  readonly all: string[] = [];
  over = false;
  readonly #connection: MemoryConnection;
  readonly #unread: string[] = [];
  #waiting: ((request: string) => void) | undefined;
  #onOver: (() => void)[] = [];

  constructor(
    connection: MemoryConnection,
    answers: ReadonlyMap<string, (peer: ScriptedPeer, payload: string) => void>,
  ) {
    this.#connection = connection;
    const stream = new PacketStream(LIMITS);
    connection.attach({
      data: (chunk) => {
        stream.push(chunk);
        while (stream.next() === Found.PACKET) {
          const packet = stream.decode();
          const data = byteString(packet.data);
          const words = [packetName(packet.type), ...packet.args, ...(data === "" ? [] : [data])].join(" ");
          this.all.push(words);
          const answer = answers.get(packetName(packet.type));
          if (answer !== undefined) answer(this, packet.args[0] ?? data);
          else if (this.#waiting !== undefined) {
            const waiting = this.#waiting;
            this.#waiting = undefined;
            waiting(words);
          } else this.#unread.push(words);
        }
      },
      drain() {},
      close: () => {
        this.over = true;
        for (const tell of this.#onOver.splice(0)) tell();
      },
    });
  }

  /** The next request that the server does not answer by itself. */
  next(): Promise<string> {
    const request = this.#unread.shift();
    if (request !== undefined) return Promise.resolve(request);
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  /** Requests that came and nobody has read. */
  get unread(): readonly string[] {
    return this.#unread;
  }

  send(name: PacketName, args: readonly string[] = [], data = ""): void {
    this.#connection.send([encodePacket(RES, PacketType[name], args, bytesOf(data))]);
  }

  sendRaw(text: string): void {
    this.#connection.send([bytesOf(text)]);
  }

  /** From now on nothing is read nor answered, though the connection stays. */
  freeze(): void {
    this.#connection.pause();
  }

  thaw(): void {
    this.#connection.resume();
  }

  /** The connection breaks. */
  sever(): void {
    this.#connection.sever();
  }

  end(): void {
    this.#connection.end();
  }

  closed(): Promise<void> {
    if (this.over) return Promise.resolve();
    return new Promise((resolve) => this.#onOver.push(resolve));
  }
}

/** Servers in memory that do what a test says. Options and echoes they answer by themselves. */
export class ScriptedServers {
  readonly network = new MemoryNetwork();
  readonly dialled: string[] = [];
  readonly #accepted: ScriptedPeer[] = [];
  #waiting: ((peer: ScriptedPeer) => void) | undefined;
  readonly #listeners = new Map<string, { close(): Promise<void> }>();

  /** To be given to a client or worker. */
  readonly dial = async (server: string): Promise<MemoryConnection> => {
    this.dialled.push(server);
    return this.network.dial(server);
  };

  /** @param speaks What the server agrees to: gearmand knows `exceptions` only. `mute` answers neither option nor echo. */
  listen(name: string, speaks: "gearmand" | "drover" | "mute" | "no options" = "gearmand"): void {
    const answers = new Map<string, (peer: ScriptedPeer, payload: string) => void>();
    if (speaks !== "mute") answers.set("ECHO_REQ", (peer, payload) => peer.send("ECHO_RES", [], payload));
    answers.set("OPTION_REQ", (peer, option) => {
      if (speaks === "mute" || speaks === "no options") return;
      if (option === "exceptions" || speaks === "drover") peer.send("OPTION_RES", [option]);
      else peer.send("ERROR", ["UNKNOWN_OPTION", "Server does not recognize given option"]);
    });
    const listener = this.network.listen(name, (connection) => {
      const peer = new ScriptedPeer(connection as MemoryConnection, answers);
      if (this.#waiting !== undefined) {
        const waiting = this.#waiting;
        this.#waiting = undefined;
        waiting(peer);
      } else this.#accepted.push(peer);
    });
    this.#listeners.set(name, listener);
  }

  async stopListening(name: string): Promise<void> {
    await this.#listeners.get(name)!.close();
    this.#listeners.delete(name);
  }

  /** The next connection that was accepted. */
  accepted(): Promise<ScriptedPeer> {
    const peer = this.#accepted.shift();
    if (peer !== undefined) return Promise.resolve(peer);
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }
}

/** Lets everything that is under way in memory arrive. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
}
