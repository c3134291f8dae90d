import { Client, defineFunction, JobFailure, Worker } from "./browser.js";

/* What the tests ask of their page, all of it in values that JSON can carry. */

const textOf = (bytes) => new TextDecoder().decode(bytes);
const shownError = (error) => ({ error: error.code ?? error.name, message: error.message });
const backoff = { initialMs: 20, maxMs: 200 };
const notices = [];
const onNotice = ({ type }) => notices.push(type);
const jobs = new Map();
const leaving = new Map();
const gates = [];
const spans = [];
let client;
let worker;

/** As much of OpenTelemetry's API as the library asks for: writes down which spans end. */
const tracing = {
  ROOT_CONTEXT: {},
  createTraceState: () => ({ serialize: () => "" }),
  context: { active: () => ({}), with: (_context, work) => work() },
  trace: {
    setSpan: (context) => context,
    setSpanContext: (context) => context,
    getTracer: () => ({
      startSpan: (name) => ({
        spanContext: () => ({ traceId: "1".repeat(32), spanId: "2".repeat(16), traceFlags: 1 }),
        setAttributes() {},
        addLink() {},
        setStatus() {},
        end: () => spans.push(name),
      }),
    }),
  },
};

globalThis.page = {
  notices: () => notices,

  client({ traced, ...options }) {
    client = new Client({ backoff, onNotice, tracing: traced ? tracing : undefined, ...options });
  },
  spans: () => spans,

  /** Begins a job, to be asked for by `name`. */
  submit(name, fn, workload, options = {}) {
    const leave = new AbortController();
    const job = client.submit(fn, workload, { ...options, signal: leave.signal });
    const events = [];
    const watched = (async () => {
      for await (const event of job) {
        events.push("data" in event ? `${event.type} ${textOf(event.data)}` : event.type);
      }
    })();
    watched.catch(() => {});
    jobs.set(name, { job, events, watched });
    leaving.set(name, leave);
  },
  created: (name) => jobs.get(name).job.created().catch(shownError),
  events: (name) => jobs.get(name).events,
  /** All events, once it is over. */
  async whole(name) {
    const { watched, events } = jobs.get(name);
    return watched.then(() => events, shownError);
  },
  result: (name) => jobs.get(name).job.result().then(textOf, shownError),
  abort: (name) => leaving.get(name).abort(),
  /** A result whose bytes are numbers. */
  bytes: async (fn, numbers) => [...(await client.submit(fn, Uint8Array.from(numbers)).result())],
  typed: (name, input) => client.submit(defineFunction({ name }), input).result(),
  ask: (what, ...args) => client[what](...args).then((answer) => answer ?? null, shownError),
  echo: async (text) => textOf(await client.echo(text)),

  work({ traced, ...options }, functions) {
    worker = new Worker({ backoff, onNotice, tracing: traced ? tracing : undefined, ...options });
    for (const fn of functions) page.handle(fn);
    return worker.run();
  },
  handle(fn) {
    worker.handle(fn, async (job) => {
      const text = textOf(job.workload);
      if (text === "fail") throw new JobFailure();
      if (text === "throw") throw new Error("no wish to");
      job.status(1, 2);
      await job.warning("careful");
      await job.data(`a part of ${text}`);
      if (text === "gate") {
        await new Promise((resolve) => {
          gates.push(resolve);
          job.signal.addEventListener("abort", resolve);
        });
      }
      return `${fn} did ${text}, attempt ${job.attempt}, unique ${job.unique}`;
    });
  },
  /** Answers with what came with the job. */
  handleContext(fn) {
    worker.handle(fn, ({ reducer, traceparent, tracestate }) =>
      JSON.stringify({ reducer, traceparent, tracestate }),
    );
  },
  /** Whether so many jobs have come to the gate, those that went on included. */
  isWaiting: (count) => gates.length === count,
  open() {
    for (const go of gates) go();
  },
  unhandle: (fn) => worker.unhandle(fn),
  running: () => worker.running,
  drain: () => worker.drain(),
};
