import { Client, type JobEvent } from "@drover/client";
import { type MemoryConnection, memoryPair } from "@drover/transport";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ModelServer } from "../../protocol/test/model-server.ts";
import { Worker } from "../src/index.ts";

/* Both libraries under losses of any connection at any moment, bytes cut anywhere. The chance is all fast-check's. */

/** Model servers that can be reached in memory, and whose connections the test breaks. */
class Servers {
  readonly #servers = new Map<string, ModelServer>();
  readonly #random: () => number;
  readonly open: MemoryConnection[] = [];

  constructor(names: readonly string[], random: () => number) {
    this.#random = random;
    for (const name of names) this.restart(name);
  }

  /** It forgets everything. Connections of before are broken by the caller. */
  restart(name: string): void {
    this.#servers.set(name, new ModelServer({ replay: false }));
  }

  readonly dial = async (name: string): Promise<MemoryConnection> => {
    const scheduler = {
      // Some at once and some turns later, so that a loss can find anything under way.
      defer: (deliver: () => void) => {
        if (this.#random() < 0.6) queueMicrotask(deliver);
        else void turn().then(deliver);
      },
      cut: (available: number) =>
        this.#random() < 0.3 ? 1 + Math.floor(this.#random() * available) : available,
    };
    const [near, far] = memoryPair({ scheduler }, ["peer", name]);
    const peer = this.#servers.get(name)!.connect({ write: (bytes) => void far.send([bytes]) });
    far.attach({ data: (chunk) => peer.receive(chunk), drain() {}, close: () => peer.lost() });
    this.open.push(near);
    return near;
  };

  sever(which: number): void {
    const [connection] = this.open.splice(which % Math.max(1, this.open.length), 1);
    connection?.sever();
  }
}

function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 4_294_967_296;
  };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("submit" as const),
      client: fc.nat(1),
      // Without a unique, or one of few.
      unique: fc.constantFrom("", "a", "b", "c"),
      aborts: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("sever" as const), which: fc.nat(9) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("restart" as const), server: fc.constantFrom("one", "two") }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("wait" as const), turns: fc.nat(5) }) },
);

describe("client and worker, whatever connection is lost whenever", () => {
  it("give every call its own result or an error, and never run more at a time than there are slots", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.integer(), async (steps, seed) => {
        const random = randomOf(seed);
        const servers = new Servers(["one", "two"], random);
        const options = {
          servers: ["one", "two"],
          dial: servers.dial,
          backoff: { initialMs: 1, maxMs: 2 },
          heartbeatMs: 0,
        };
        const clients = [0, 1].map(() => new Client({ ...options, random, maxRejoins: 1_000 }));
        let running = 0;
        let most = 0;
        const worker = new Worker({ ...options, random, concurrency: 2 });
        worker.handle("f", async (job) => {
          most = Math.max(most, ++running);
          const turns = Math.floor(random() * 4);
          for (let i = 0; i < turns; i++) {
            await job.data(`${job.unique}:${i}`);
            job.status(i, turns);
            await turn();
          }
          running--;
          return `${job.unique}/${job.unique === "" ? Buffer.from(job.workload).toString() : ""}`;
        });
        void worker.run();
        const settled: Promise<void>[] = [];
        let number = 0;
        for (const one of steps) {
          if (one.do === "wait") for (let i = 0; i < one.turns; i++) await turn();
          else if (one.do === "sever") servers.sever(one.which);
          else if (one.do === "restart") {
            servers.restart(one.server);
            for (let i = servers.open.length; i > 0; i--) servers.sever(0);
          } else {
            const { unique } = one;
            const workload = `w${++number}`;
            const controller = new AbortController();
            const job = clients[one.client]!.submit("f", workload, { unique, signal: controller.signal });
            if (one.aborts) settled.push(turn().then(() => controller.abort(new Error("aborted"))));
            settled.push(
              job.result().then(
                (result) =>
                  expect(Buffer.from(result).toString()).toBe(`${unique}/${unique === "" ? workload : ""}`),
                (error: { code?: string; message: string }) => {
                  const allowed = [
                    ...(unique === "" ? ["JOB_LOST"] : []),
                    ...(one.aborts ? ["aborted"] : []),
                  ];
                  expect(allowed).toContain(error.code ?? error.message);
                },
              ),
              followsFromTheBeginning(job, unique),
            );
          }
        }
        await Promise.all(settled);
        expect(most).toBeLessThanOrEqual(2);
        await Promise.all([worker.drain(), ...clients.map((client) => client.close())]);
        expect([running, worker.running]).toEqual([0, 0]);
      }),
      { numRuns: 60 },
    );
  });
});

/** Parts of one attempt come in order; after a restart they begin anew. A job of another unique is never heard. */
async function followsFromTheBeginning(job: AsyncIterable<JobEvent>, unique: string): Promise<void> {
  let previous = -1;
  try {
    for await (const event of job) {
      if (event.type === "restarted") previous = -1;
      if (event.type !== "data") continue;
      const [of, part] = Buffer.from(event.data).toString().split(":");
      expect(of).toBe(unique);
      // A server that does not replay lets a late joiner begin anywhere, and does not tell when a worker was lost.
      if (previous >= 0 && Number(part) !== 0) expect(Number(part)).toBe(previous + 1);
      previous = Number(part);
    }
  } catch (error) {
    if (error instanceof Error && error.name === "AssertionError") throw error;
  }
}
