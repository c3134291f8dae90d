import {
  byteString,
  bytesOf,
  encodeOptions,
  type PacketName,
  type PacketStream,
  PacketType,
} from "@drover/protocol";
import { Actor } from "./actor.ts";
import type { Connection } from "./network.ts";
import { largeSize } from "./plan.ts";

const SUBMITS: readonly PacketName[] = [
  "SUBMIT_JOB",
  "SUBMIT_JOB",
  "SUBMIT_JOB",
  "SUBMIT_JOB_HIGH",
  "SUBMIT_JOB_LOW",
  "SUBMIT_JOB_BG",
  "SUBMIT_JOB_HIGH_BG",
  "SUBMIT_JOB_LOW_BG",
];

/** Most requests and submissions that a client has open at a time. */
const MOST_OPEN = 14;
/** Jobs in the world from which on only joins are tried, so that worlds stay small. */
const CROWD = 60;

/** Submits jobs that join each other, asks about them, leaves them, comes and goes. */
export class Client extends Actor {
  /** What waits for an answer: whether it is a foreground submission. */
  #asked: boolean[] = [];
  /** Handles of foreground submissions under way, once for each. */
  #waiting: string[] = [];
  #drover = false;
  #serial = 0;

  override act(): void {
    if (this.connection === null) this.#connect();
    else if (this.misfortune()) return;
    const { random } = this;
    const times = random.chance(0.15) ? random.between(2, 6) : 1;
    for (let i = 0; i < times; i++) this.#doSomething();
    // Some connect anew and leave the old connection as it is.
    if (random.chance(0.003)) {
      this.leave();
      this.#connect();
    }
  }

  #connect(): void {
    this.connection = this.world.connect(this);
    const { random } = this;
    if (random.chance(0.5)) this.#ask(false, "OPTION_REQ", [random.pick(["exceptions", "Exceptions"])]);
    this.#drover = random.chance(0.5);
    if (this.#drover) this.#ask(false, "OPTION_REQ", ["drover.1"]);
  }

  override lost(connection: Connection): void {
    super.lost(connection);
    this.#asked = [];
    this.#waiting = [];
  }

  #ask(foreground: boolean, name: PacketName, args: readonly string[] = [], data?: Uint8Array): void {
    this.#asked.push(foreground);
    this.send(name, args, data);
  }

  #doSomething(): void {
    const { random } = this;
    const open = this.#asked.length + this.#waiting.length;
    const action = random.weighted([
      [open < MOST_OPEN ? 60 : 0, () => this.#submit()],
      [4, () => this.#ask(false, "GET_STATUS", [this.#anyHandle()])],
      [4, () => this.#ask(false, "GET_STATUS_UNIQUE", [this.#unique()])],
      [4, () => this.#ask(false, "ECHO_REQ", [], bytesOf("x".repeat(random.below(40))))],
      [this.#drover ? 6 : 0, () => this.#detach()],
      [this.#drover ? 6 : 0, () => this.#getOutcome()],
    ]);
    action();
  }

  #submit(): void {
    const { random } = this;
    const fn = random.pick(this.world.plan.functions);
    const crowded = this.world.judge.naive.jobs.size >= CROWD;
    const unique = crowded ? `u${random.below(this.world.plan.uniques)}` : this.#unique();
    const kind = random.weighted([
      [70, "plain"],
      [6, "epoch"],
      [1, "sched"],
      [5, "reduce"],
      [this.#drover ? 40 : 0, "extended"],
    ] as const);
    const workload = this.#workload(unique);
    if (kind === "plain") {
      const name = random.pick(SUBMITS);
      this.#ask(!name.endsWith("_BG"), name, [fn, unique], workload);
    } else if (kind === "epoch") {
      const seconds = Math.floor(this.world.wallMs / 1000) + random.between(-2, 3);
      this.#ask(false, "SUBMIT_JOB_EPOCH", [fn, unique, String(seconds)], workload);
    } else if (kind === "sched") {
      const times = [random.chance(0.8) ? "*" : String(random.below(60)), "*", "*", "*", "*"];
      this.#ask(false, "SUBMIT_JOB_SCHED", [fn, unique, ...times], workload);
    } else if (kind === "reduce") {
      const background = random.chance(0.3);
      const name = background ? "SUBMIT_REDUCE_JOB_BACKGROUND" : "SUBMIT_REDUCE_JOB";
      this.#ask(!background, name, [fn, unique, "reducer", ""], workload);
    } else {
      this.#submitExtended(fn, unique, workload);
    }
  }

  #submitExtended(fn: string, unique: string, workload: Uint8Array): void {
    const { random } = this;
    const some = (probability: number, value: () => string) =>
      random.chance(probability) ? value() : undefined;
    const background = random.chance(0.25);
    const options = encodeOptions({
      background: background ? "1" : some(0.2, () => "0"),
      priority: some(0.5, () => random.pick(["high", "normal", "low"])),
      deadline: some(0.3, () => String(random.between(1, 300))),
      keep: some(0.2, () => "1"),
      linger: some(0.3, () => String(random.below(300))),
      rerunIfActive: some(0.25, () => "1"),
      at: some(0.2, () => String(this.world.wallMs + random.between(-500, 1500))),
      reducer: some(0.1, () => "reducer"),
      traceparent: some(0.2, () => `00-${"a1".repeat(16)}-${random.pick(["b2", "c3", "d4"]).repeat(8)}-01`),
    });
    this.#ask(!background, "SUBMIT_JOB_EXT", [fn, unique, options], workload);
  }

  #unique(): string {
    const { random } = this;
    const kind = random.below(20);
    if (kind === 0) return "";
    if (kind <= 2) return "-";
    return `u${random.below(this.world.plan.uniques)}`;
  }

  #workload(unique: string): Uint8Array {
    const { random } = this;
    const { largeRate } = this.world.plan;
    if (largeRate > 0 && random.chance(largeRate)) return bytesOf("L".repeat(largeSize(random)));
    if (unique === "-") return bytesOf(random.pick(["", "w1", "w2"]));
    if (random.chance(0.03)) return bytesOf("W".repeat(random.between(900, 2500)));
    return bytesOf(random.chance(0.1) ? "" : `w${this.index}.${this.#serial++}`);
  }

  #anyHandle(): string {
    const { random, world } = this;
    return random.chance(0.1) || world.handles.length === 0 ? "H:sim:x" : random.pick(world.handles);
  }

  #detach(): void {
    const handle =
      this.#waiting.length > 0 && this.random.chance(0.8)
        ? this.random.pick(this.#waiting)
        : this.#anyHandle();
    this.#waiting = this.#waiting.filter((waiting) => waiting !== handle);
    this.send("DETACH", [handle]);
  }

  #getOutcome(): void {
    const { random, world } = this;
    if (random.chance(0.5)) this.#ask(false, "GET_OUTCOME", [this.#anyHandle(), ""]);
    else {
      const unique = `u${random.below(world.plan.uniques)}`;
      this.#ask(false, "GET_OUTCOME", [random.pick(world.plan.functions), unique]);
    }
  }

  override packet(connection: Connection, { type, bytes, start, end }: PacketStream): void {
    if (connection !== this.connection) return;
    switch (type) {
      case PacketType.JOB_CREATED: {
        const handle = byteString(bytes, start, end);
        const { handles } = this.world;
        handles.push(handle);
        if (handles.length > 40) handles.shift();
        if (this.#asked.shift() === true) this.#waiting.push(handle);
        return;
      }
      case PacketType.ERROR:
      case PacketType.ECHO_RES:
      case PacketType.OPTION_RES:
      case PacketType.STATUS_RES:
      case PacketType.STATUS_RES_UNIQUE:
      case PacketType.OUTCOME_RES:
        this.#asked.shift();
        return;
      case PacketType.WORK_COMPLETE:
      case PacketType.WORK_FAIL:
      case PacketType.WORK_EXCEPTION: {
        const handle = byteString(bytes, start, end).split("\0", 1)[0]!;
        const at = this.#waiting.indexOf(handle);
        if (at >= 0) this.#waiting.splice(at, 1);
        return;
      }
      default:
    }
  }
}
