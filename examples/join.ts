import { setTimeout as pause } from "node:timers/promises";
import { Client, Worker } from "drover";

const servers = process.argv[2] ?? "localhost:4730";

const worker = new Worker({ servers });
worker.handle("draw", async (job) => {
  console.log(`drawing ${job.unique}`);
  for (let line = 1; line <= 3; line++) {
    await pause(200);
    await job.data(`line ${line}`);
  }
  return "done";
});
await worker.run();

async function ask(name: string): Promise<void> {
  await using client = new Client({ servers });
  const job = client.submit("draw", "a cat", { unique: "picture:cat" });
  for await (const event of job) {
    if (event.type === "data") console.log(`${name} sees ${Buffer.from(event.data)}`);
  }
  console.log(`${name}: ${Buffer.from(await job.result())}`);
}
await Promise.all([ask("first"), ask("second"), pause(500).then(() => ask("late"))]);
await worker.drain();
