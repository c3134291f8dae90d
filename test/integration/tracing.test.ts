import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { Client } from "@drover/client";
import { Worker } from "@drover/worker";
import * as api from "@opentelemetry/api";
import {
  InMemorySpanExporter,
  NodeTracerProvider,
  type ReadableSpan,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-node";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { eventsOf, type Stage, stage } from "../http/stage.ts";
import { until } from "../peers/until.ts";

/* Traces as OpenTelemetry's own SDK records them: who is whose parent, and who links to whom. */

const exporter = new InMemorySpanExporter();
const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });

beforeAll(() => provider.register());
afterAll(async () => {
  await provider.shutdown();
  api.trace.disable();
  api.context.disable();
});
beforeEach(() => exporter.reset());

/** A worker of `f` that ends a job when it is told to. */
function worker({ port }: Stage, tracing: typeof api | undefined) {
  const gate = Promise.withResolvers<string>();
  const made = new Worker({ servers: `127.0.0.1:${port}`, tracing });
  let runs = 0;
  let active: api.Span | undefined;
  made.handle("f", async () => {
    runs++;
    active = api.trace.getActiveSpan();
    return gate.promise;
  });
  onTestFinished(() => made.close());
  return { worker: made, gate, runs: () => runs, active: () => active };
}

function client({ port }: Stage): Client {
  const made = new Client({ servers: `127.0.0.1:${port}`, tracing: api });
  onTestFinished(() => made.close());
  return made;
}

async function spans(name: string, count: number): Promise<ReadableSpan[]> {
  const found = () => exporter.getFinishedSpans().filter((span) => span.name === name);
  await until(`${count} spans ${name} have ended`, 30_000, () => found().length >= count);
  return found();
}

const linked = ({ links }: ReadableSpan) => links.map(({ context }) => context.spanId);
const idOf = (span: ReadableSpan) => span.spanContext().spanId;
const HTTP_TRACE = `00-${"5".repeat(32)}-${"7".repeat(16)}-01`;

describe("tracing", () => {
  it("shows one run under the submission that made it, and every other submission linked to it", async () => {
    const at = await stage();
    const { worker: traced, gate, runs, active } = worker(at, api);
    const tracer = api.trace.getTracer("test");
    const submit = (name: string) =>
      tracer.startActiveSpan(name, (parent) => {
        const job = client(at).submit("f", "w", { unique: "u" });
        parent.end();
        return job;
      });
    const first = submit("first");
    await first.created();
    const second = submit("second");
    await second.created();
    // What the job becomes is not waited for here, so it is only queued.
    const response = await fetch(`${at.url}/functions/f/jobs`, {
      method: "POST",
      body: "w",
      headers: { "gearman-unique": '"u"', accept: "application/x-ndjson", traceparent: HTTP_TRACE },
    });
    const events = eventsOf(response);
    expect((await events.next()).value).toMatchObject({ event: "created", coalesced: true });
    await traced.run();
    await until("it runs", 30_000, () => runs() === 1);
    const late = submit("late");
    await late.created();
    gate.resolve("done");
    for (const job of [first, second, late]) expect(Buffer.from(await job.result()).toString()).toBe("done");

    const [run] = (await spans("process f", 1)) as [ReadableSpan];
    const submissions = await spans("submit f", 3);
    const parents = new Map(exporter.getFinishedSpans().map((span) => [idOf(span), span.name]));
    const of = (name: string) =>
      submissions.find(({ parentSpanContext }) => parents.get(parentSpanContext!.spanId) === name)!;
    expect(run.kind).toBe(api.SpanKind.CONSUMER);
    expect(run.parentSpanContext?.spanId).toBe(idOf(of("first")));
    expect(run.spanContext().traceId).toBe(of("first").spanContext().traceId);
    expect(linked(run)).toEqual([idOf(of("second")), HTTP_TRACE.split("-")[2]]);
    expect(active()?.spanContext().spanId).toBe(idOf(run));
    for (const name of ["first", "second", "late"]) {
      expect([name, linked(of(name))]).toEqual([name, [idOf(run)]]);
      expect(of(name).kind).toBe(api.SpanKind.CLIENT);
      expect(of(name).attributes).toMatchObject({
        "messaging.system": "gearman",
        "messaging.destination.name": "f",
        "messaging.message.id": first.handle,
        "drover.job.unique": "u",
        "drover.job.coalesced": name !== "first",
      });
    }
    const { traceId, spanId } = run.spanContext();
    const rest: unknown[] = [];
    for await (const event of events) rest.push(event);
    expect(rest).toMatchObject([
      { event: "trace", traceparent: `00-${traceId}-${spanId}-01` },
      { event: "complete" },
    ]);
  });

  it("links background submissions, whether they join before the run or while it goes on", async () => {
    const at = await stage();
    const { worker: traced, gate, runs } = worker(at, api);
    const submit = () => client(at).background("f", "w", { unique: "u" });
    await submit();
    await submit();
    await traced.run();
    await until("it runs", 30_000, () => runs() === 1);
    await submit();
    gate.resolve("done");
    const [run] = (await spans("process f", 1)) as [ReadableSpan];
    const [first, second, third] = (await spans("submit f", 3)) as [ReadableSpan, ReadableSpan, ReadableSpan];
    expect(first.kind).toBe(api.SpanKind.PRODUCER);
    expect(run.parentSpanContext?.spanId).toBe(idOf(first));
    expect(linked(run)).toEqual([idOf(second)]);
    expect([first, second, third].map(linked)).toEqual([[], [], [idOf(run)]]);
    expect([first, second, third].map((span) => span.attributes["drover.job.coalesced"])).toEqual([
      false,
      true,
      true,
    ]);
  });

  it("shows submissions that share one within the client, linked as all others", async () => {
    const at = await stage();
    const { worker: traced, gate } = worker(at, api);
    const shared = client(at);
    const jobs = [shared.submit("f", "w", { unique: "u" }), shared.submit("f", "w", { unique: "u" })];
    await traced.run();
    gate.resolve("done");
    await Promise.all(jobs.map((job) => job.result()));
    const [run] = (await spans("process f", 1)) as [ReadableSpan];
    const submissions = await spans("submit f", 2);
    expect(submissions.map(linked)).toEqual([[idOf(run)], [idOf(run)]]);
    expect(submissions.map((span) => span.attributes["drover.job.coalesced"])).toEqual([false, true]);
  });

  it("shows how it failed, at both ends", async () => {
    const at = await stage();
    const { worker: traced, gate, runs } = worker(at, api);
    await traced.run();
    const result = client(at).submit("f", "w").result();
    await until("it runs", 30_000, () => runs() === 1);
    gate.reject(new RangeError("too far"));
    await expect(result).rejects.toThrow("too far");
    const [run] = (await spans("process f", 1)) as [ReadableSpan];
    const [submission] = (await spans("submit f", 1)) as [ReadableSpan];
    expect(run.status).toEqual({ code: api.SpanStatusCode.ERROR, message: "too far" });
    expect(run.attributes["error.type"]).toBe("RangeError");
    expect(submission.status.code).toBe(api.SpanStatusCode.ERROR);
    expect(submission.attributes["error.type"]).toBe("JOB_EXCEPTION");
  });

  it("goes through a worker that does not trace, and tells nobody of a run then", async () => {
    const at = await stage();
    const { worker: plain, gate } = worker(at, undefined);
    gate.resolve("done");
    await plain.run();
    await client(at).submit("f", "w", { unique: "u" }).result();
    const [submission] = (await spans("submit f", 1)) as [ReadableSpan];
    expect(submission.links).toEqual([]);
    expect(exporter.getFinishedSpans()).toHaveLength(1);
  });

  it("answers HTTP with the run's traceparent, and only a request that had one", async () => {
    const at = await stage();
    const { worker: traced, gate } = worker(at, api);
    gate.resolve("done");
    await traced.run();
    const post = (headers: Record<string, string>) =>
      fetch(`${at.url}/functions/f/jobs`, { method: "POST", body: "w", headers });
    const answer = await post({ traceparent: HTTP_TRACE });
    const [run] = (await spans("process f", 1)) as [ReadableSpan];
    expect(run.parentSpanContext?.spanId).toBe(HTTP_TRACE.split("-")[2]);
    expect(answer.headers.get("traceparent")).toBe(`00-${"5".repeat(32)}-${idOf(run)}-01`);
    expect((await post({})).headers.get("traceparent")).toBeNull();
  });

  it("carries a tracestate from HTTP through a run to the submissions that it makes", async () => {
    const at = await stage();
    const nested = client(at);
    const first = new Worker({ servers: `127.0.0.1:${at.port}`, tracing: api });
    onTestFinished(() => first.close());
    const told: (string | undefined)[] = [];
    first.handle("outer", async ({ tracestate }) => {
      told.push(tracestate);
      await nested.background("inner", "w");
    });
    await first.run();
    await fetch(`${at.url}/functions/outer/jobs`, {
      method: "POST",
      headers: { traceparent: HTTP_TRACE, tracestate: "vendor=some thing, other=1" },
    });
    expect(told).toEqual(["vendor=some thing, other=1"]);
    const [run] = (await spans("process outer", 1)) as [ReadableSpan];
    expect(run.spanContext().traceState?.get("vendor")).toBe("some thing");
    const inner = await fetch(`${at.url}/grab?function=inner`, { method: "POST" });
    expect(await inner.json()).toMatchObject({
      traceparent: expect.stringContaining(`00-${"5".repeat(32)}-`),
      tracestate: "vendor=some thing,other=1",
    });
  });

  it.each([
    "nonsense",
    `${HTTP_TRACE}x`,
    `ff${HTTP_TRACE.slice(2)}`,
    `00-${"0".repeat(32)}-${"7".repeat(16)}-01`,
    `${HTTP_TRACE}, ${HTTP_TRACE}`,
  ])("ignores the malformed traceparent %s over HTTP", async (traceparent) => {
    const at = await stage();
    const { worker: traced, gate } = worker(at, api);
    gate.resolve("done");
    await traced.run();
    const answer = await fetch(`${at.url}/functions/f/jobs`, {
      method: "POST",
      body: "w",
      headers: { traceparent },
    });
    expect([answer.status, await answer.text(), answer.headers.get("traceparent")]).toEqual([
      200,
      "done",
      null,
    ]);
    const [run] = (await spans("process f", 1)) as [ReadableSpan];
    expect(run.parentSpanContext).toBeUndefined();
  });

  it("without a tracer imports nothing of OpenTelemetry", async () => {
    const at = await stage();
    const script = `
      import { registerHooks } from "node:module";
      const names = [];
      registerHooks({ resolve: (name, context, next) => (names.push(name), next(name, context)) });
      const [{ Client }, { Worker }] = [await import("@drover/client"), await import("@drover/worker")];
      const servers = "127.0.0.1:${at.port}";
      await using worker = new Worker({ servers });
      await worker.handle("g", () => "done").run();
      await using client = new Client({ servers });
      await client.submit("g", "w", { traceparent: "${HTTP_TRACE}" }).result();
      console.log(names.length > 10, names.filter((name) => name.includes("opentelemetry")));`;
    const run = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", script]);
    expect(run.stdout.trim()).toBe("true []");
  });
});
