import {
  byteString,
  bytesOf,
  ClientSession,
  encodeOptions,
  encodePacket,
  type Packet,
  type PacketName,
  PacketType,
  REQ,
  type Submitter,
} from "@drover/protocol";
import { ensure } from "../violation.ts";
import type { Runner } from "./judge.ts";
import { type Node, rankNames } from "./node.ts";
import { type Dialler, Wire } from "./wire.ts";
import type { FleetWorld } from "./world.ts";

/** One connection to one server, dialled again whenever it is lost. */
abstract class Outsider implements Dialler {
  readonly site = "";
  readonly world: FleetWorld;
  node: Node;
  wire: Wire | null = null;

  constructor(world: FleetWorld, node: Node) {
    this.world = world;
    this.node = node;
    this.dial();
  }

  dial(): void {
    this.wire = new Wire(this.world, this, this.node);
  }

  send(name: PacketName, args: readonly string[] = [], data?: Uint8Array): void {
    this.wire!.write(encodePacket(REQ, PacketType[name], args, data));
  }

  /** The process is killed, and started again. */
  die(): void {
    if (this.wire === null) return;
    this.wire.abandon();
    this.wire = null;
    this.over();
    this.world.later(this.world.random.between(5, 40), () => this.dial());
  }

  lost(): void {
    this.wire = null;
    this.over();
    this.world.later(this.world.random.between(5, 40), () => this.dial());
  }

  abstract opened(wire: Wire): void;
  abstract packet(packet: Packet): void;
  /** What it had over the connection is over. */
  protected abstract over(): void;
}

interface Task {
  readonly handle: string;
  readonly runner: Runner;
  readonly run: number;
  readonly reports: number;
}

/** Runs what one server gives it, one job at a time; gives up at once what the connection was lost for. */
export class Worker extends Outsider {
  #task: Task | null = null;

  opened(): void {
    for (const fn of this.world.plan.functions) this.send("CAN_DO", [fn]);
    this.send("GRAB_JOB_UNIQ");
  }

  packet({ type, args }: Packet): void {
    if (type === PacketType.NO_JOB) this.send("PRE_SLEEP");
    else if (type === PacketType.NOOP) this.send("GRAB_JOB_UNIQ");
    else if (type === PacketType.JOB_ASSIGN_UNIQ) this.#begin(args[0]!, args[1]!, args[2]!);
  }

  protected over(): void {
    if (this.#task === null) return;
    this.world.judge.ended(this.#task.runner);
    this.#task = null;
  }

  #begin(handle: string, fn: string, unique: string): void {
    const { world, wire, node } = this;
    const { random, plan } = world;
    const runner = world.judge.began(node, wire!.start, handle, fn, unique);
    const reports = random.chance(0.5) ? random.below(4) : 0;
    const task = { handle, runner, run: world.nextRun++, reports };
    this.#task = task;
    const lastsMs = random.chance(plan.longRate) ? random.between(100, 900) : random.between(1, 60);
    const during = (ms: number, action: () => void) =>
      world.later(ms, () => {
        if (this.#task === task) action();
      });
    for (let i = 0; i < reports; i++) {
      const report = bytesOf(`${task.run}/${i}`);
      during(Math.floor((lastsMs * i) / reports), () => this.send("WORK_DATA", [handle], report));
    }
    during(lastsMs, () => this.#end(task));
  }

  #end({ handle, runner, run, reports }: Task): void {
    this.over();
    if (this.world.random.chance(0.05)) this.send("WORK_FAIL", [handle]);
    else this.send("WORK_COMPLETE", [handle], bytesOf(`${runner.key}/${run}/${reports}`));
    this.send("GRAB_JOB_UNIQ");
  }
}

/**
 * Submits to whatever server it is connected with. One that routes moves on to the owner, and submits again what it had
 * under way when its connection is lost; others are told of the loss.
 */
export class Client extends Outsider {
  readonly #routes: boolean;
  #session: ClientSession | null = null;
  readonly #open = new Set<Submission>();
  #serial = 0;
  readonly #name: string;

  constructor(world: FleetWorld, node: Node, name: string, routes: boolean) {
    super(world, node);
    this.#name = name;
    this.#routes = routes;
    this.#act();
  }

  /** Submissions without an end. */
  get open(): number {
    return this.#open.size;
  }

  opened(wire: Wire): void {
    this.#session = new ClientSession(wire);
    this.#session.replays = true;
    this.#session.option("drover.1", { answer() {}, refused() {}, lost() {} });
    for (const submission of [...this.#open]) this.#submit(submission);
  }

  packet(packet: Packet): void {
    this.#session!.receive(packet);
  }

  protected over(): void {
    const session = this.#session;
    this.#session = null;
    if (!this.#routes) {
      session?.lost();
      for (const submission of [...this.#open]) submission.lost();
    }
    const { world } = this;
    this.node = world.random.pick(world.nodes);
    const [first] = this.#open;
    if (first === undefined) return;
    // The next in rank, whichever it believes to be there.
    const ranked = rankNames(world.names, first.fn, first.unique);
    this.node = world.node(ranked[world.random.below(2)]!);
  }

  #act(): void {
    const { world } = this;
    const { random, plan } = world;
    world.later(random.between(1, 2 * plan.paceMs), () => {
      if (world.quiet) return;
      if (this.#session !== null && this.#open.size < 6) {
        for (let n = random.pick([1, 1, 1, 3]); n > 0; n--) this.#begin();
      }
      if (random.chance(plan.lossRate)) this.die();
      this.#act();
    });
  }

  #begin(): void {
    const { random, keys } = this.world;
    const { fn, unique } = random.pick([...keys.values()]);
    const background = random.chance(0.1);
    const priority = random.pick(["normal", "normal", "normal", "high", "low"] as const);
    const workload = `${this.#name}.${this.#serial++}`;
    const ended = () => this.#open.delete(submission);
    const submission = new Submission(workload, fn, unique, background, priority, ended);
    this.#open.add(submission);
    this.#submit(submission);
  }

  #submit(submission: Submission): void {
    const { fn, unique, background, priority, workload } = submission;
    this.world.judge.submits(this.node, workload);
    const options = encodeOptions({ priority, background: background ? "1" : undefined });
    const request = { function: fn, unique, workload: bytesOf(workload), background, options };
    this.#session!.submit(request, submission.attempt());
  }
}

/** What was submitted, until it ends. */
class Submission {
  readonly workload: string;
  readonly fn: string;
  readonly unique: string;
  readonly background: boolean;
  readonly priority: string;
  readonly #ended: () => void;
  #isOver = false;
  #attempts = 0;

  constructor(
    workload: string,
    fn: string,
    unique: string,
    background: boolean,
    priority: string,
    ended: () => void,
  ) {
    this.workload = workload;
    this.fn = fn;
    this.unique = unique;
    this.background = background;
    this.priority = priority;
    this.#ended = ended;
  }

  /** Who is told what becomes of it this time. */
  attempt(): Submitter {
    const attempt = ++this.#attempts;
    let chunks: string[] = [];
    const end = () => {
      if (attempt === this.#attempts) this.#end();
    };
    return {
      created: () => {
        if (this.background) end();
      },
      data: (chunk) => chunks.push(byteString(chunk)),
      warning() {},
      status() {},
      restarted: () => {
        chunks = [];
      },
      complete: (result) => {
        const [key, run, reports] = byteString(result).split("/");
        ensure(
          key === `${this.fn} ${this.unique}`,
          "reports",
          () => `${this.workload} got the result of ${key}`,
        );
        const whole = Array.from({ length: Number(reports) }, (_, i) => `${run}/${i}`);
        const wrong = () => `${this.workload} got [${chunks}] before the result of [${whole}]`;
        ensure(chunks.join() === whole.join(), "reports", wrong);
        end();
      },
      fail: end,
      exception: end,
      refused: end,
      lost() {},
    };
  }

  /** Its client is told of the loss. */
  lost(): void {
    this.#end();
  }

  #end(): void {
    ensure(!this.#isOver, "ends", () => `${this.workload} ends twice`);
    this.#isOver = true;
    this.#ended();
  }
}
