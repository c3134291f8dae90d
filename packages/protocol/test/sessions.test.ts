import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type AssignedJob,
  byteString,
  bytesOf,
  ClientSession,
  fixedSlots,
  ReplyQueue,
  WorkerSession,
} from "../src/index.ts";
import { joined } from "./arbitraries.ts";
import { ModelServer, packetReader } from "./model-server.ts";
import { TellingSubmitter, TellingWorker } from "./recorders.ts";

/** Bytes on the way in one direction, delivered in pieces of any size. */
class Pipe {
  #bytes: Uint8Array = new Uint8Array(0);
  deliverTo: (bytes: Uint8Array) => void = () => {};
  write(bytes: Uint8Array): void {
    this.#bytes = joined([this.#bytes, bytes]);
  }
  get length(): number {
    return this.#bytes.length;
  }
  deliver(count: number): void {
    const piece = this.#bytes.slice(0, count);
    this.#bytes = this.#bytes.slice(count);
    this.deliverTo(piece);
  }
}

interface Submission {
  readonly told: TellingSubmitter;
  readonly background: boolean;
}

/** One connection that is client and worker at once, as Gearman allows. */
class Peer {
  readonly out = new Pipe();
  readonly in = new Pipe();
  readonly told = new TellingWorker();
  readonly submissions: Submission[] = [];
  readonly replies = new ReplyQueue();
  readonly client: ClientSession;
  readonly worker: WorkerSession;
  readonly slots: number;
  most = 0;
  readonly #running: AssignedJob[] = [];
  #assigned = 0;

  constructor(server: ModelServer, replays: boolean, slots: number) {
    this.slots = slots;
    this.client = new ClientSession(this.out, this.replies);
    this.client.replays = replays;
    this.worker = new WorkerSession(this.out, this.told, fixedSlots(slots), this.replies);
    this.out.deliverTo = server.connect(this.in).receive;
    this.in.deliverTo = packetReader((packet) => {
      if (!this.client.receive(packet) && !this.worker.receive(packet))
        throw new Error(`stray packet ${packet.type}`);
      this.most = Math.max(this.most, this.worker.running);
    });
    this.client.option("exceptions", { answer() {}, refused() {}, lost() {} });
  }

  submit(name: string, unique: string, background: boolean): void {
    const told = new TellingSubmitter();
    this.submissions.push({ told, background });
    this.client.submit({ function: name, unique, workload: bytesOf("w"), background }, told);
  }

  /** Reports on one of the running jobs. */
  work(what: number, which: number): void {
    while (this.#assigned < this.told.jobs.length) this.#running.push(this.told.jobs[this.#assigned++]!);
    if (this.#running.length === 0) return;
    const index = which % this.#running.length;
    const job = this.#running[index]!;
    // Few different chunks, so that equal ones follow each other often.
    const chunk = bytesOf(String(which % 2));
    if (what < 3) this.worker.data(job, chunk);
    else if (what < 4) this.worker.warning(job, chunk);
    else if (what < 6) this.worker.status(job, which % 3, 3);
    else {
      this.#running.splice(index, 1);
      if (what < 8) this.worker.complete(job, chunk);
      else if (what < 9) this.worker.fail(job);
      else this.worker.exception(job, chunk);
    }
  }

  get busy(): boolean {
    return this.#running.length > 0 || this.#assigned < this.told.jobs.length;
  }
}

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant("deliver" as const), pipe: fc.nat(7), bytes: fc.nat(40) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("submit" as const),
      // Mostly the same, so that submissions often meet on one connection.
      peer: fc.constantFrom(0, 0, 0, 1, 2, 3),
      function: fc.constantFrom("f", "f", "f", "f", "g", "full"),
      unique: fc.constantFrom("u", "u", "u", "v", ""),
      background: fc.constantFrom(false, false, false, true),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("work" as const),
      peer: fc.nat(3),
      what: fc.constantFrom(0, 0, 0, 0, 3, 3, 4, 4, 6, 8, 9),
      which: fc.nat(5),
    }),
  },
  // Often enough all that is under way arrives, so that the script reaches what only comes late in a conversation.
  { weight: 3, arbitrary: fc.record({ do: fc.constant("settle" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("ask" as const), peer: fc.nat(3) }) },
);

function settle(pipes: readonly Pipe[]): void {
  for (;;) {
    const pipe = pipes.find(({ length }) => length > 0);
    if (pipe === undefined) return;
    pipe.deliver(pipe.length);
  }
}

interface Asked {
  readonly question: string;
  answer: string;
}

/** Runs the steps on four connections, then goes on until nothing moves any more. */
function play(steps: readonly (typeof step extends fc.Arbitrary<infer S> ? S : never)[], replay: boolean) {
  const server = new ModelServer({ replay });
  const peers = [2, 1, 3, 1].map((slots) => new Peer(server, replay, slots));
  const pipes = peers.flatMap((peer) => [peer.in, peer.out]);
  const asked: Asked[] = [];
  peers[0]!.worker.canDo("f");
  peers[1]!.worker.canDo("g", 1_000);
  peers[2]!.worker.canDo("f");
  peers[2]!.worker.canDo("g");
  for (const peer of peers.slice(0, 3)) peer.worker.start();
  for (const one of steps) {
    if (one.do === "deliver") pipes[one.pipe]!.deliver(one.bytes);
    else if (one.do === "submit") peers[one.peer]!.submit(one.function, one.unique, one.background);
    else if (one.do === "work") {
      const busy = peers.filter((peer) => peer.busy);
      if (busy.length > 0) busy[one.peer % busy.length]!.work(one.what, one.which);
    } else if (one.do === "settle") settle(pipes);
    else {
      const entry: Asked = { question: `echo ${asked.length}`, answer: "" };
      asked.push(entry);
      peers[one.peer]!.client.echo(bytesOf(entry.question), {
        answer: (payload) => {
          entry.answer = byteString(payload);
        },
        lost() {},
      });
    }
  }
  for (;;) {
    settle(pipes);
    const busy = peers.find((peer) => peer.busy);
    if (busy === undefined) break;
    busy.work(6, 0);
  }
  return { server, peers, asked };
}

/** What data and warnings a submission was told, in the words of the model's record. */
function reportsOf(told: readonly string[]): string[] {
  return told
    .filter((word) => word.startsWith("data ") || word.startsWith("warning "))
    .map((word) => word.replace("data", "28").replace("warning", "29"));
}

for (const replay of [false, true]) {
  describe(`the sessions and a server that ${replay ? "replays" : "does not replay"}`, () => {
    const scripts = fc.array(step, { minLength: 5, maxLength: 120 });

    it("end every submission once, with all reports in order, however bytes are cut and mixed", () => {
      fc.assert(
        fc.property(scripts, (steps) => {
          const { server, peers } = play(steps, replay);
          expect(server.jobs).toEqual([]);
          const endings = new Map<string, string>();
          for (const { told, background } of peers.flatMap((peer) => peer.submissions)) {
            if (told.told[0]!.startsWith("refused")) {
              expect(told.told).toEqual(["refused QUEUE_ERROR"]);
              continue;
            }
            expect(told.told[0]).toBe(`created ${told.handle}`);
            expect(told.ends).toBe(background ? 0 : 1);
            if (background) {
              expect(told.told).toHaveLength(1);
              continue;
            }
            const all = server.reported.get(told.handle)!;
            const seen = reportsOf(told.told);
            // A late joiner of a server without replay sees the rest; else everybody sees everything.
            expect(seen).toEqual(replay ? all : all.slice(all.length - seen.length));
            const ending = told.told.at(-1)!;
            expect(endings.get(told.handle) ?? ending).toBe(ending);
            endings.set(told.handle, ending);
          }
          for (const peer of peers) {
            expect(peer.replies.length).toBe(0);
            expect(peer.client.attached).toBe(0);
          }
        }),
        { numRuns: 300 },
      );
    });

    it("run no more jobs than there are slots, lose no wake-up, and sleep in the end", () => {
      fc.assert(
        fc.property(scripts, (steps) => {
          const { peers } = play(steps, replay);
          for (const peer of peers) {
            expect(peer.most).toBeLessThanOrEqual(peer.slots);
            expect(peer.worker.running).toBe(0);
            expect(peer.told.told.filter((word) => !word.startsWith("assigned"))).toEqual([]);
          }
          expect(peers.slice(0, 3).map((peer) => peer.worker.state)).toEqual(["asleep", "asleep", "asleep"]);
          expect(peers[3]!.worker.state).toBe("idle");
        }),
        { numRuns: 300 },
      );
    });

    it("give every question its own answer", () => {
      fc.assert(
        fc.property(scripts, (steps) => {
          for (const { question, answer } of play(steps, replay).asked) expect(answer).toBe(question);
        }),
        { numRuns: 100 },
      );
    });

    it("drain at any moment: what was assigned is finished, nothing more is taken", () => {
      fc.assert(
        fc.property(scripts, scripts, (before, after) => {
          const server = new ModelServer({ replay });
          const peer = new Peer(server, replay, 2);
          peer.worker.canDo("f");
          peer.worker.start();
          const turn = (steps: typeof before) => {
            for (const one of steps) {
              if (one.do === "deliver") (one.pipe % 2 === 0 ? peer.in : peer.out).deliver(one.bytes);
              else if (one.do === "submit") peer.submit("f", one.unique, one.background);
              else if (one.do === "work") peer.work(one.what, one.which);
              else if (one.do === "settle") settle([peer.in, peer.out]);
            }
          };
          turn(before);
          peer.worker.drain();
          turn(after);
          do {
            settle([peer.in, peer.out]);
            peer.work(6, 0);
          } while (peer.busy || peer.out.length > 0);
          expect(peer.told.told.filter((word) => word === "drained")).toHaveLength(1);
          expect(peer.told.told.at(-1)).toBe("drained");
          expect(server.jobs.every((job) => job.worker === undefined)).toBe(true);
        }),
        { numRuns: 200 },
      );
    });
  });
}
