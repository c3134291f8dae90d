import { byteString, bytesOf, type PacketName, type PacketStream, PacketType } from "@drover/protocol";
import { Actor } from "./actor.ts";
import type { Connection } from "./network.ts";
import { largeSize } from "./plan.ts";

const GRABS: readonly PacketName[] = ["GRAB_JOB", "GRAB_JOB_UNIQ", "GRAB_JOB_ALL"];

/** How a job ends here. `never`: the worker keeps it for good; `die`: its connection breaks. */
type Ending = "complete" | "fail" | "exception" | "exception and fail" | "twice" | "die" | "never";

interface Task {
  readonly handle: string;
  /** Gone on with as long as it is not. */
  stopped: boolean;
}

/** Registers functions, grabs, sleeps, reports, and every now and then does one of these wrong. */
export class Worker extends Actor {
  #tasks: Task[] = [];
  #slots = 1;
  #grab: PacketName = "GRAB_JOB";
  #grabbing = false;
  #good = false;
  #serial = 0;

  /** A worker without faults, for all functions, from now on. */
  behave(): void {
    this.#good = true;
    this.#connect();
  }

  override act(): void {
    if (this.connection === null) this.#connect();
    else if (!this.misfortune()) this.#meddle();
  }

  #connect(): void {
    const { random, world } = this;
    this.connection = world.connect(this);
    this.#slots = random.pick([1, 1, 2, 4]);
    this.#grab = random.pick(GRABS);
    if (random.chance(0.2)) this.send("SET_CLIENT_ID", [`worker${this.index}`]);
    if (random.chance(0.5)) this.send("OPTION_REQ", ["drover.1"]);
    for (const name of world.plan.functions) {
      if (this.#good || random.chance(0.8)) this.#register(name);
    }
    this.#next();
  }

  #register(name: string): void {
    const { random } = this;
    const timeout = random.chance(0.3) && !this.#good;
    if (timeout) this.send("CAN_DO_TIMEOUT", [name, String(this.#timeout())]);
    else this.send("CAN_DO", [name]);
  }

  #timeout(): number {
    const { random, world } = this;
    if (world.plan.timeoutUnit === "ms") return random.between(0, 150);
    if (world.plan.timeoutUnit === "s") return random.between(0, 2);
    return random.chance(0.5) ? random.between(1, 2) : random.between(1000, 1200);
  }

  override lost(connection: Connection): void {
    super.lost(connection);
    for (const task of this.#tasks) task.stopped = true;
    this.#tasks = [];
    this.#grabbing = false;
    if (this.#good) this.later(10, () => this.#connect());
  }

  /** Does something that is no part of a good worker's day. */
  #meddle(): void {
    const { random, world } = this;
    if (!random.chance(world.plan.faultRate)) return;
    const name = random.pick(world.plan.functions);
    const action = random.weighted([
      [4, () => this.#register(name)],
      [2, () => this.send("CANT_DO", [name])],
      [1, () => this.#forgetAll()],
      [2, () => this.send("PRE_SLEEP")],
      [2, () => this.#askForJob()],
      [2, () => this.#report(this.#anyHandle())],
      [1, () => this.leave()],
      [1, () => this.send("ECHO_REQ", [], bytesOf("still there?"))],
    ]);
    action();
  }

  #forgetAll(): void {
    const { random, world } = this;
    this.send("RESET_ABILITIES");
    for (const name of world.plan.functions) if (random.chance(0.7)) this.#register(name);
  }

  #anyHandle(): string {
    const { handles } = this.world;
    return handles.length === 0 ? "H:sim:0" : this.random.pick(handles);
  }

  #askForJob(): void {
    this.#grabbing = true;
    this.send(this.#grab);
  }

  #next(): void {
    if (this.connection !== null && !this.#grabbing && this.#tasks.length < this.#slots) this.#askForJob();
  }

  override packet(connection: Connection, { type, bytes, start, end }: PacketStream): void {
    if (connection !== this.connection) return;
    const { random } = this;
    switch (type) {
      case PacketType.NO_JOB:
        this.#grabbing = false;
        this.send("PRE_SLEEP");
        return;
      case PacketType.NOOP:
        // Some need longer than the grace that is given to them.
        if (!this.#good && random.chance(0.1)) this.later(random.below(200), () => this.#next());
        else this.#next();
        return;
      case PacketType.JOB_ASSIGN:
      case PacketType.JOB_ASSIGN_UNIQ:
      case PacketType.JOB_ASSIGN_ALL:
      case PacketType.JOB_ASSIGN_EXT:
        this.#grabbing = false;
        this.#begin(byteString(bytes, start, end).split("\0", 1)[0]!);
        this.#next();
        return;
      case PacketType.CANCEL:
        this.#cancelled(byteString(bytes, start, end));
        return;
      default:
    }
  }

  #begin(handle: string): void {
    const { random, world } = this;
    const task: Task = { handle, stopped: false };
    this.#tasks.push(task);
    const faulty = !this.#good && random.chance(world.plan.faultRate);
    const ending: Ending = faulty
      ? random.pick(["fail", "exception", "exception and fail", "twice", "die", "die", "never"] as const)
      : "complete";
    const slow = faulty && random.chance(0.3) ? 10 : 1;
    const reports = random.chance(0.6) ? random.below(6) : 0;
    let atMs = 0;
    for (let i = 0; i < reports; i++) {
      atMs += slow * random.below(12);
      this.#during(task, atMs, () => this.#report(handle));
    }
    atMs += slow * random.below(15);
    this.#during(task, atMs, () => this.#end(task, ending));
  }

  #during(task: Task, ms: number, action: () => void): void {
    this.later(ms, () => {
      if (!task.stopped) action();
    });
  }

  #report(handle: string): void {
    const { random } = this;
    const serial = ++this.#serial;
    const kind = random.below(10);
    if (kind < 5) {
      const size = random.chance(0.1) ? random.between(100, 1600) : 0;
      this.send("WORK_DATA", [handle], bytesOf(`d${this.index}.${serial}${"D".repeat(this.#size(size))}`));
    } else if (kind < 7) {
      this.send("WORK_WARNING", [handle], bytesOf(`w${this.index}.${serial}`));
    } else {
      this.send("WORK_STATUS", [handle, String(serial), String(this.index * 100_000)]);
    }
  }

  /** This size, or now and then a large one where the plan has such. */
  #size(usual: number): number {
    const { largeRate } = this.world.plan;
    return largeRate > 0 && this.random.chance(largeRate) ? largeSize(this.random) : usual;
  }

  #end(task: Task, ending: Ending): void {
    const { random } = this;
    const { handle } = task;
    if (ending === "never") {
      // It holds a slot until the connection ends, which it does after a while.
      this.later(random.between(50, 1500), () => {
        if (!task.stopped) this.leave();
      });
      return;
    }
    this.#release(task);
    const text = `r${this.index}.${++this.#serial}${"R".repeat(this.#size(0))}`;
    const result = bytesOf(random.chance(0.1) ? "" : text);
    switch (ending) {
      case "die":
        this.leave();
        return;
      case "fail":
        this.send("WORK_FAIL", [handle]);
        break;
      case "exception":
      case "exception and fail":
        this.send("WORK_EXCEPTION", [handle], result);
        if (ending === "exception and fail") this.send("WORK_FAIL", [handle]);
        break;
      case "twice":
        this.send("WORK_COMPLETE", [handle], result);
        this.send(random.pick(["WORK_COMPLETE", "WORK_EXCEPTION"] as const), [handle], result);
        this.send("WORK_FAIL", [handle]);
        break;
      default:
        this.send("WORK_COMPLETE", [handle], result);
    }
    this.#next();
  }

  #release(task: Task): void {
    task.stopped = true;
    const at = this.#tasks.indexOf(task);
    if (at >= 0) this.#tasks.splice(at, 1);
  }

  /** The server wants a job stopped: most workers obey, some have not heard. */
  #cancelled(handle: string): void {
    const task = this.#tasks.find((candidate) => candidate.handle === handle);
    if (task === undefined || (!this.#good && this.random.chance(0.3))) return;
    const ending = this.random.pick(["fail", "complete", "exception"] as const);
    this.#end(task, ending);
  }
}
