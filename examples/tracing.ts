import * as tracing from "@opentelemetry/api";
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-node";
import { Client, Worker } from "drover";

const servers = process.argv[2] ?? "localhost:4730";

// In your program an OTLPTraceExporter stands here.
const exporter = new InMemorySpanExporter();
new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).register();

await using client = new Client({ servers, tracing });
const other = new Client({ servers, tracing });
const jobs = [client, other].map((each) => each.submit("resize", "cat.png", { unique: "cat.png" }));
await Promise.all(jobs.map((job) => job.created()));

const worker = new Worker({ servers, tracing });
worker.handle("resize", (job) => {
  tracing.trace.getActiveSpan()?.addEvent("resized");
  return job.workload;
});
await worker.run();
await Promise.all(jobs.map((job) => job.result()));
await Promise.all([worker.drain(), other.close()]);

for (const { name, attributes, links, events } of exporter.getFinishedSpans()) {
  const what = events.map((event) => event.name).join();
  console.log(name, attributes["drover.job.coalesced"] ?? what, `links: ${links.length}`);
}
