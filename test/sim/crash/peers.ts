import {
  byteString,
  bytesOf,
  encodePacket,
  Found,
  PacketStream,
  PacketType,
  packetName,
  REQ,
} from "@drover/protocol";
import type { Peer } from "../../../packages/server/src/core/index.ts";
import type { Random } from "../random.ts";
import { ensure } from "../violation.ts";
import type { Ledger } from "./ledger.ts";

export const FUNCTIONS = ["plain", "retried"] as const;

/** One connection to the server, of one of its starts. */
abstract class Actor {
  readonly #stream = new PacketStream({ maxBodyBytes: 1 << 20, maxLineBytes: 1 << 16 });
  peer: Peer | null = null;

  /** Takes what the server sent. */
  take(chunk: Uint8Array): void {
    this.#stream.push(chunk);
    for (let found = this.#stream.next(); found !== Found.MORE; found = this.#stream.next()) {
      ensure(found === Found.PACKET, "framing", () => `the server sent no packet: ${found}`);
      const { type } = this.#stream;
      const { args, data } = this.#stream.decode();
      this.received(type, args, byteString(data));
    }
  }

  /** Something to send, or null. */
  abstract next(random: Random, wallMs: number): Uint8Array | null;
  /** The connection is over, by the server's crash or by its own end. */
  abstract lost(crashed: boolean): void;
  protected abstract received(type: number, args: readonly string[], data: string): void;
}

interface Expected {
  readonly type: number;
  /** Of an echo. */
  readonly text: string;
  readonly background: boolean;
  readonly fn: string;
  readonly unique: string;
  readonly step: number;
}

/** Submits, and knows by their order which answer belongs to which request. */
export class Client extends Actor {
  readonly #ledger: Ledger;
  #expected: Expected[] = [];
  #echoes = 0;

  constructor(ledger: Ledger) {
    super();
    this.#ledger = ledger;
  }

  next(random: Random, wallMs: number): Uint8Array {
    const { step } = this.#ledger;
    if (random.chance(0.15)) {
      const text = String(++this.#echoes);
      this.#expected.push({ type: PacketType.ECHO_RES, text, background: false, fn: "", unique: "", step });
      return encodePacket(REQ, PacketType.ECHO_REQ, [], bytesOf(text));
    }
    const fn = random.pick(FUNCTIONS);
    const unique = random.weighted([
      [6, `u${random.below(8)}`],
      [2, ""],
      [2, `only ${step}`],
    ]);
    const background = random.chance(0.8);
    this.#expected.push({ type: PacketType.JOB_CREATED, text: "", background, fn, unique, step });
    const workload = bytesOf("w".repeat(random.below(40)));
    if (background && random.chance(0.15)) {
      const at = String(Math.floor(wallMs / 1000) + random.below(4));
      return encodePacket(REQ, PacketType.SUBMIT_JOB_EPOCH, [fn, unique, at], workload);
    }
    const types = background
      ? [PacketType.SUBMIT_JOB_BG, PacketType.SUBMIT_JOB_HIGH_BG, PacketType.SUBMIT_JOB_LOW_BG]
      : [PacketType.SUBMIT_JOB, PacketType.SUBMIT_JOB_HIGH];
    return encodePacket(REQ, random.pick(types), [fn, unique], workload);
  }

  lost(): void {
    this.#expected = [];
    this.peer = null;
  }

  protected received(type: number, args: readonly string[], data: string): void {
    if (type >= PacketType.WORK_COMPLETE && type <= PacketType.WORK_FAIL) return;
    if (
      type === PacketType.WORK_DATA ||
      type === PacketType.WORK_WARNING ||
      type === PacketType.WORK_EXCEPTION
    )
      return;
    const expected = this.#expected.shift();
    ensure(expected !== undefined, "S10", () => `${packetName(type)} answers nothing`);
    if (expected.type === PacketType.ECHO_RES) {
      ensure(
        type === PacketType.ECHO_RES && data === expected.text,
        "S10",
        () => `got ${packetName(type)} ${data} in the place of the echo of ${expected.text}`,
      );
      return;
    }
    const refused = type === PacketType.ERROR && args[0] === "QUEUE_ERROR" && expected.background;
    ensure(
      type === PacketType.JOB_CREATED || refused,
      "S10",
      () => `got ${packetName(type)} ${args.join()} in the place of JOB_CREATED`,
    );
    if (!expected.background || refused) return;
    this.#ledger.acknowledged(args[0]!, expected.fn, expected.unique, expected.step);
  }
}

interface Assigned {
  readonly handle: string;
  readonly fn: string;
  readonly unique: string;
}

/** Grabs, and completes or fails what it got. */
export class Worker extends Actor {
  readonly #ledger: Ledger;
  /** Only completes, so that an end comes in sight. */
  readonly isGood: boolean;
  #jobs: Assigned[] = [];
  #isGrabbing = false;
  #isNew = true;
  /** What it says of the functions it knows. */
  noJobs = 0;

  constructor(ledger: Ledger, isGood = false) {
    super();
    this.#ledger = ledger;
    this.isGood = isGood;
  }

  get isBusy(): boolean {
    return this.#jobs.length > 0 || this.#isGrabbing;
  }

  next(random: Random): Uint8Array | null {
    if (this.#isNew) {
      this.#isNew = false;
      return Buffer.concat(FUNCTIONS.map((fn) => encodePacket(REQ, PacketType.CAN_DO, [fn])));
    }
    if (this.#jobs.length > 0 && (this.isGood || random.chance(0.7))) {
      const { handle, fn, unique } = this.#jobs.splice(random.below(this.#jobs.length), 1)[0]!;
      const fails = !this.isGood && random.chance(0.3);
      if (!fails || fn === "plain") this.#ledger.ended(handle, fn, unique);
      else this.#ledger.excused(handle);
      return encodePacket(REQ, fails ? PacketType.WORK_FAIL : PacketType.WORK_COMPLETE, [handle]);
    }
    if (this.#isGrabbing || this.#jobs.length > 2) return null;
    this.#isGrabbing = true;
    return encodePacket(REQ, PacketType.GRAB_JOB_UNIQ);
  }

  lost(crashed: boolean): void {
    if (!crashed) for (const { handle } of this.#jobs) this.#ledger.excused(handle);
    this.#jobs = [];
    this.#isGrabbing = false;
    this.#isNew = true;
    this.peer = null;
  }

  protected received(type: number, args: readonly string[]): void {
    if (type === PacketType.NO_JOB) {
      this.#isGrabbing = false;
      this.noJobs++;
    } else if (type === PacketType.JOB_ASSIGN_UNIQ) {
      this.#isGrabbing = false;
      const [handle, fn, unique] = args as [string, string, string];
      this.#ledger.grabbed(handle);
      this.#jobs.push({ handle, fn, unique });
    } else if (type !== PacketType.NOOP) {
      ensure(false, "worker", () => `a worker got ${packetName(type)} ${args.join()}`);
    }
  }
}
