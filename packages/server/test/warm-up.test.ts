import { expect, it } from "vitest";
import { JobServerCore, warmUp } from "../src/index.ts";

it("runs jobs in this process for the time given, and leaves nothing open", async () => {
  const open = () => process.getActiveResourcesInfo().filter((kind) => /TCP|Timeout/.test(kind));
  const before = open();
  const receive = JobServerCore.prototype.receive;
  const cores = new Map<JobServerCore, number>();
  JobServerCore.prototype.receive = function (peer, chunk) {
    receive.call(this, peer, chunk);
    cores.set(this, this.state.counts.completed);
  };
  const began = performance.now();
  try {
    await warmUp(100);
  } finally {
    JobServerCore.prototype.receive = receive;
  }
  expect(performance.now() - began).toBeGreaterThanOrEqual(99);
  expect(cores.size).toBe(1);
  expect([...cores.values()][0]).toBeGreaterThan(0);
  // What the runner of tests had open may have ended meanwhile.
  expect(open().length).toBeLessThanOrEqual(before.length);
});
