import { Client } from "@drover/client";
import { measure } from "./submitters.ts";

/** drover-client.ts PORT UNIQUES SUBMITTERS WARMUP_MS MEASURE_MS [CLIENTS], over which the submitters are spread. */
const [port, ...words] = process.argv.slice(2);
const clients = Array.from(
  { length: Number(words[4] ?? 1) },
  () => new Client({ servers: `127.0.0.1:${port}` }),
);

await measure(words, async (submitter, unique, workload) => {
  const client = clients[submitter % clients.length]!;
  const result = await client.submit("echo", workload, { unique }).result();
  return Buffer.from(result.buffer, result.byteOffset, result.byteLength).toString("latin1");
});
await Promise.all(clients.map((client) => client.close()));
