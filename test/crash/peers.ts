import { connect, type Socket } from "node:net";
import { bytesOf, encodePacket, Found, PacketStream, PacketType, packetName, REQ } from "@drover/protocol";
import { Random } from "../sim/random.ts";
import { type Books, Broken } from "./books.ts";

/** Requests of one client that are not answered yet. */
const DEPTH = 40;
/** With more jobs that wait for a worker nobody submits for a moment: each start takes all of them back. */
const MOST_WAITING = 1000;
const PAUSE_MS = 5;

/** A connection that ends when its server is killed, and says nothing about it. */
abstract class Peer {
  readonly #socket: Socket;
  readonly #stream = new PacketStream({ maxBodyBytes: 1 << 20, maxLineBytes: 1 << 20 });
  /** Resolves when the connection is over. */
  readonly ended: Promise<void>;
  failure: Error | undefined;

  constructor(port: number) {
    this.#socket = connect({ port, host: "127.0.0.1", noDelay: true });
    this.#socket.on("error", () => {});
    this.#socket.on("data", (chunk: Buffer) => this.#take(chunk));
    this.ended = new Promise((resolve) => this.#socket.on("close", () => resolve()));
  }

  close(): void {
    this.#socket.destroy();
  }

  protected write(type: number, args: readonly string[], data = ""): void {
    this.#socket.write(encodePacket(REQ, type, args, bytesOf(data)));
  }

  #take(chunk: Buffer): void {
    try {
      this.#stream.push(chunk);
      for (let found = this.#stream.next(); found !== Found.MORE; found = this.#stream.next()) {
        if (found !== Found.PACKET) throw new Broken(`the server sent no packet (${found})`);
        const { type } = this.#stream;
        this.received(type, this.#stream.decode().args);
      }
    } catch (error) {
      this.failure ??= error as Error;
      this.close();
    }
  }

  protected abstract received(type: number, args: readonly string[]): void;
}

let uniques = 0;

/** Submits background jobs without an end, each with a unique of its own. */
export class Submitter extends Peer {
  readonly #books: Books;
  readonly #random: Random;
  readonly #waiting: string[] = [];
  #stopped = false;

  constructor(port: number, books: Books, seed: number) {
    super(port);
    this.#books = books;
    this.#random = new Random(seed, 1);
    for (let i = 0; i < DEPTH; i++) this.#submit();
    void this.ended.then(() => {
      this.#stopped = true;
    });
  }

  #submit(): void {
    if (this.#stopped) return;
    if (this.#books.backlog > MOST_WAITING) {
      setTimeout(() => this.#submit(), PAUSE_MS);
      return;
    }
    const random = this.#random;
    const unique = `u${++uniques}`;
    const fn = random.chance(0.1) ? "dies" : "works";
    const workload = "w".repeat(random.below(400));
    this.#books.submitted(unique);
    this.#waiting.push(fn);
    if (random.chance(0.1)) {
      const at = Math.floor(Date.now() / 1000) + random.below(3);
      this.write(PacketType.SUBMIT_JOB_EPOCH, [fn, unique, String(at)], workload);
      return;
    }
    const types = [PacketType.SUBMIT_JOB_BG, PacketType.SUBMIT_JOB_HIGH_BG, PacketType.SUBMIT_JOB_LOW_BG];
    this.write(random.pick(types), [fn, unique], workload);
  }

  protected received(type: number, args: readonly string[]): void {
    const fn = this.#waiting.shift();
    if (fn === undefined) throw new Broken(`${packetName(type)} answers nothing`);
    if (type === PacketType.JOB_CREATED) this.#books.acknowledged(args[0]!, fn);
    else if (type === PacketType.ERROR && args[0] === "QUEUE_ERROR") this.#books.refused();
    else throw new Broken(`a submission was answered by ${packetName(type)} ${args.join()}`);
    this.#submit();
  }
}

/** Does jobs, one at a time, in a moment each. */
export class Worker extends Peer {
  readonly #books: Books;
  readonly #random: Random;
  #timer: NodeJS.Timeout | undefined;

  constructor(port: number, books: Books, seed: number) {
    super(port);
    this.#books = books;
    this.#random = new Random(seed, 2);
    for (const fn of ["works", "dies"]) this.write(PacketType.CAN_DO, [fn]);
    this.write(PacketType.GRAB_JOB_UNIQ, []);
    void this.ended.then(() => clearTimeout(this.#timer));
  }

  protected received(type: number, args: readonly string[]): void {
    if (type === PacketType.NO_JOB) this.write(PacketType.PRE_SLEEP, []);
    else if (type === PacketType.NOOP) this.write(PacketType.GRAB_JOB_UNIQ, []);
    else if (type === PacketType.JOB_ASSIGN_UNIQ) this.#work(args as [string, string, string]);
    else throw new Broken(`a worker got ${packetName(type)} ${args.join()}`);
  }

  #work([handle, fn, unique]: readonly [string, string, string]): void {
    const completed = this.#books.grabbed(handle, unique);
    const end = () => {
      completed();
      this.write(fn === "dies" ? PacketType.WORK_FAIL : PacketType.WORK_COMPLETE, [handle]);
      this.write(PacketType.GRAB_JOB_UNIQ, []);
    };
    if (this.#random.chance(0.5)) end();
    else this.#timer = setTimeout(end, this.#random.below(3));
  }
}
