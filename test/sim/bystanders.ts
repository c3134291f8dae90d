import { bytesOf, encodePacket, type PacketStream, PacketType, RES } from "@drover/protocol";
import { Actor } from "./actor.ts";
import type { Connection } from "./network.ts";
import { makeSettings } from "./plan.ts";

/** Types commands of the admin protocol. */
export class Admin extends Actor {
  override act(): void {
    if (this.connection === null) this.connection = this.world.connect(this);
    else if (this.misfortune()) return;
    this.#type(this.#command());
  }

  /** Lets all functions run. */
  resumeAll(): void {
    this.connection = this.world.connect(this);
    for (const name of this.world.plan.functions) this.#type(`resume function ${name}`);
  }

  #type(line: string): void {
    this.connection?.send(bytesOf(`${line}${this.random.chance(0.5) ? "\r\n" : "\n"}`));
  }

  #command(): string {
    const { random, world } = this;
    const fn = random.pick(world.plan.functions);
    const handle = world.handles.length === 0 ? "H:sim:9" : random.pick(world.handles);
    const letters = world.judge.naive.letters.map(({ job }) => job.handle);
    const letter = letters.length > 0 && random.chance(0.9) ? random.pick(letters) : handle;
    return random.weighted([
      [6, "status"],
      [3, "prioritystatus"],
      [2, "workers"],
      [2, "show jobs"],
      [2, "show unique jobs"],
      [4, "jobs"],
      [2, "deadletters"],
      [3, "counts"],
      [8, `cancel job ${handle}`],
      [4, `pause function ${fn}`],
      [8, `resume function ${fn}`],
      [1, `maxqueue ${fn} ${random.between(1, 20)}`],
      [1, `maxqueue ${fn} ${random.between(1, 20)} ${random.between(0, 20)} ${random.between(0, 20)}`],
      [2, `maxqueue ${fn}`],
      [1, `create function ${random.pick([fn, "extra"])}`],
      [2, `drop function ${random.pick([fn, "extra", "nowhere"])}`],
      [8, `deadletter requeue ${letter}`],
      [1, `deadletter show ${letter}`],
      [1, `deadletter delete ${letter}`],
      [1, random.pick(["version", "getpid", "bogus", "shutdown"])],
    ]);
  }
}

/** Moves the wall clock and changes settings while jobs run. */
export class Operator extends Actor {
  override act(): void {
    const { random, world } = this;
    if (random.chance(0.2)) {
      const hours = random.chance(0.1) ? 3_600_000 * random.between(-3, 3) : 0;
      const jumpMs = hours + random.between(-2000, 2000);
      world.jump(jumpMs);
    }
    if (random.chance(0.1)) world.changeSettings(random.pick(world.plan.functions), makeSettings(random));
  }
}

/** Floods, does not read, sends what is no packet, and reports on jobs that are not its own. */
export class Nonsense extends Actor {
  override readonly nonsense = true;

  override act(): void {
    const { random, world } = this;
    if (this.connection === null) {
      this.connection = world.connect(this);
      if (random.chance(0.3)) this.send("OPTION_REQ", ["drover.1"]);
    } else if (this.misfortune()) return;
    if (random.chance(0.1)) this.connection?.stall(random.between(10, 2000));
    const handle = world.handles.length === 0 ? "H:sim:1" : random.pick(world.handles);
    const action = random.weighted<() => void>([
      [3, () => this.#raw(`${"\0"}REQ${"\0\0\0"}\x4d${"\0\0\0\0"}`)],
      [2, () => this.#raw(`${"\0"}BAD!!!!!!!!!`)],
      [2, () => this.#raw(`${"\0"}REQ${"\0\0\0"}\x07${"\x7f\xff\xff\xff"}`)],
      [2, () => this.#raw("GET / HTTP/1.1\r\n\r\n")],
      [2, () => this.#raw("a b c d e f g h i j k\n")],
      [2, () => this.#raw("q".repeat(random.between(1, 400)))],
      [2, () => this.#raw(`${"\0"}REQ${"\0\0\0"}\x07${"\0\0\0"}\x03abc`)],
      [3, () => this.#raw(`${"\0"}REQ${"\0\0\0"}`)],
      [3, () => this.#flood()],
      [2, () => this.connection?.send(encodePacket(RES, PacketType.NOOP))],
      [2, () => this.send("JOB_CREATED", [handle])],
      [4, () => this.send("WORK_COMPLETE", [handle], bytesOf("forged"))],
      [2, () => this.send("WORK_FAIL", [handle])],
      [2, () => this.send("WORK_DATA", [handle], bytesOf("forged"))],
      [2, () => this.send("WORK_STATUS", [handle, "1", "2"])],
      [2, () => this.send("DETACH", [handle])],
      [2, () => this.send("GRAB_JOB")],
      [2, () => this.send("PRE_SLEEP")],
      [2, () => this.send("SUBMIT_JOB_EXT", ["f0", "u0", `deadline=${random.pick(["x", "0", "-1"])}`])],
      [1, () => this.send("SUBMIT_JOB", ["f".repeat(100), "u"])],
      [1, () => this.send("SUBMIT_JOB_SCHED", ["f0", "u0", "61", "*", "*", "*", "*"])],
      [1, () => this.#raw("status\nstatus\nprioritystatus\n")],
    ]);
    action();
  }

  #raw(text: string): void {
    this.connection?.send(bytesOf(text));
  }

  #flood(): void {
    const echo = bytesOf("e".repeat(this.random.between(100, 2000)));
    for (let i = this.random.between(5, 30); i > 0; i--) this.send("ECHO_REQ", [], echo);
  }

  override packet(_connection: Connection, _stream: PacketStream): void {}
}
