import { Client } from "@drover/client";
import { describe, expect, it, onTestFinished } from "vitest";
import { until } from "../peers/until.ts";
import { eventsOf, stage } from "./stage.ts";

function clientOf(port: number): Client {
  const client = new Client({ servers: `127.0.0.1:${port}` });
  onTestFinished(() => client.close());
  return client;
}

const post = (
  url: string,
  body: string | Uint8Array<ArrayBuffer> = "",
  headers: Record<string, string> = {},
) => fetch(url, { method: "POST", body, headers });

describe("a stream of jobs", () => {
  it("brings jobs within its credit, whose reports come by requests of their own", async () => {
    const { url, port, server } = await stage();
    const stream = await fetch(`${url}/grab?function=f&credit=2&client=browser`, {
      headers: { accept: "application/x-ndjson" },
    });
    const jobs = eventsOf(stream);
    await until("the worker is there", 5_000, () => server.core.hasWorker("f"));
    const client = clientOf(port);
    const submitted = ["a", "b", "c"].map((text) => client.submit("f", text));
    const [first, second] = [(await jobs.next()).value!, (await jobs.next()).value!];
    expect([first, second]).toMatchObject([
      { event: "job", function: "f", data: "a", attempt: "1" },
      { event: "job", function: "f", data: "b" },
    ]);
    expect(server.core.state.running).toBe(2);
    const events: string[] = [];
    const watching = (async () => {
      for await (const event of submitted[0]!) events.push(event.type);
    })();
    for (const [what, body] of [
      ["data", "part"],
      ["warning", "careful"],
      ["status", "1/2"],
      ["complete", "A"],
    ] as const) {
      expect((await post(`${url}/leases/${first.lease as string}/${what}`, body)).status).toBe(204);
    }
    expect(Buffer.from(await submitted[0]!.result()).toString()).toBe("A");
    await watching;
    expect(events).toEqual(["created", "data", "warning", "status", "complete"]);
    const third = (await jobs.next()).value!;
    expect(third).toMatchObject({ data: "c" });
    expect((await post(`${url}/leases/${second.lease as string}/fail`)).status).toBe(204);
    await expect(submitted[1]!.result()).rejects.toThrow();
    const lines = [
      { report: "data", data: "AAEC", encoding: "base64" },
      { report: "status", numerator: 2, denominator: 2 },
      { report: "exception", data: "no" },
    ];
    const several = lines.map((line) => JSON.stringify(line)).join("\n");
    expect((await post(`${url}/leases/${third.lease as string}`, several)).status).toBe(204);
    await expect(submitted[2]!.result()).rejects.toThrow("no");
    expect((await post(`${url}/leases/${third.lease as string}/complete`)).status).toBe(410);
    await stream.body!.cancel().catch(() => {});
  });

  it("tells what came with a job, and takes where its run stands in traces", async () => {
    const { url, server } = await stage();
    const [asked, ran] = ["a", "b"].map((digit) => `00-${digit.repeat(32)}-${digit.repeat(16)}-01`);
    const jobs = eventsOf(
      await fetch(`${url}/grab?function=f`, { headers: { accept: "application/x-ndjson" } }),
    );
    await until("the worker is there", 5_000, () => server.core.hasWorker("f"));
    const answered = post(`${url}/functions/f/jobs`, "", {
      traceparent: asked!,
      "gearman-reducer": ":/wE=:",
    });
    const job = (await jobs.next()).value! as { lease: string };
    expect(job).toMatchObject({ traceparent: asked, reducer: "\xff\x01" });
    expect((await post(`${url}/leases/${job.lease}/trace`, "nonsense")).status).toBe(400);
    const lines = [{ report: "trace", data: ran }, { report: "complete" }];
    await post(`${url}/leases/${job.lease}`, lines.map((line) => JSON.stringify(line)).join("\n"));
    expect((await answered).headers.get("traceparent")).toBe(ran);
  });

  it("is the lease: when it is cut, its jobs go to another worker at once", async () => {
    const { url, port, worker, server } = await stage();
    const leave = new AbortController();
    const stream = await fetch(`${url}/grab?function=f`, {
      headers: { accept: "application/x-ndjson" },
      signal: leave.signal,
    });
    const jobs = eventsOf(stream);
    await until("the worker is there", 5_000, () => server.core.hasWorker("f"));
    const job = clientOf(port).submit("f", "w");
    const { lease } = (await jobs.next()).value! as { lease: string };
    worker({ f: () => Buffer.from("by another") });
    leave.abort();
    expect(Buffer.from(await job.result()).toString()).toBe("by another");
    expect((await post(`${url}/leases/${lease}/complete`, "late")).status).toBe(410);
  });
});

describe("a stream that is to end", () => {
  it("brings no more jobs, lets those that run be reported, and ends with the last", async () => {
    const { url, port, server } = await stage();
    const stream = await fetch(`${url}/grab?function=f&credit=2`, {
      headers: { accept: "application/x-ndjson" },
    });
    const jobs = eventsOf(stream);
    await until("the worker is there", 5_000, () => server.core.hasWorker("f"));
    const client = clientOf(port);
    const first = client.submit("f", "a");
    const { lease } = (await jobs.next()).value! as { lease: string };
    const name = stream.headers.get("gearman-stream")!;
    expect((await fetch(`${url}/grab/${name}`, { method: "DELETE" })).status).toBe(204);
    expect(server.core.hasWorker("f")).toBe(false);
    const second = client.submit("f", "b");
    await second.created();
    expect((await post(`${url}/leases/${lease}/complete`, "A")).status).toBe(204);
    expect(Buffer.from(await first.result()).toString()).toBe("A");
    expect((await jobs.next()).done).toBe(true);
    expect(server.core.state.running).toBe(0);
    await until("the stream is forgotten", 5_000, async () => {
      return (await fetch(`${url}/grab/${name}`, { method: "DELETE" })).status === 410;
    });
  });
});

it("an echo brings the body back", async () => {
  const { url } = await stage();
  const bytes = Uint8Array.from([0, 1, 254, 255]);
  expect(new Uint8Array(await (await post(`${url}/echo`, bytes)).arrayBuffer())).toEqual(bytes);
});

describe("a single job", () => {
  it("is given at once where there is one, and else nothing", async () => {
    const { url, port } = await stage();
    expect((await post(`${url}/grab?function=f`)).status).toBe(204);
    const job = clientOf(port).submit("f", "w", { unique: "u" });
    await job.created();
    const given = await post(`${url}/grab?function=f`, "", { accept: "application/octet-stream" });
    expect(given.status).toBe(200);
    expect(await given.text()).toBe("w");
    const lease = given.headers.get("gearman-lease")!;
    expect((await post(`${url}/leases/${lease}/complete`, "r")).status).toBe(204);
    expect(Buffer.from(await job.result()).toString()).toBe("r");
  });

  it("is waited for, and goes to another when its lease ends without a word", async () => {
    const { url, port, server } = await stage();
    const asked = post(`${url}/grab?function=f`, "", { prefer: "wait=20", "gearman-lease": "1" });
    await until("it waits", 5_000, () => server.core.hasWorker("f"));
    const job = clientOf(port).submit("f", "w");
    const first = (await (await asked).json()) as { lease: string; attempt: string };
    expect(first.attempt).toBe("1");
    const second = await post(`${url}/grab?function=f`, "", { prefer: "wait=20" });
    const { lease, attempt } = (await second.json()) as { lease: string; attempt: string };
    expect(attempt).toBe("2");
    expect((await post(`${url}/leases/${first.lease}/complete`, "late")).status).toBe(410);
    expect((await post(`${url}/leases/${lease}/complete`, "r")).status).toBe(204);
    expect(Buffer.from(await job.result()).toString()).toBe("r");
  });
});

describe("what is wrong with work is told as a problem", () => {
  it.each([
    ["GET", "/grab", 400, "bad-function"],
    ["GET", "/grab?function=f&credit=1000", 400, "bad-request"],
    ["GET", "/grab?function=f&credit=many", 400, "bad-request"],
    ["POST", "/grab?function=", 400, "bad-function"],
    ["POST", "/leases/nothing/complete", 410, "lease-lost"],
    ["POST", "/leases/nothing", 410, "lease-lost"],
  ] as const)("%s %s", async (method, path, status, name) => {
    const { url } = await stage();
    const answer = await fetch(url + path, { method });
    expect(answer.status).toBe(status);
    expect(await answer.json()).toMatchObject({ type: `/v1/problems/${name}` });
  });

  it("a report that is none leaves the job with its worker", async () => {
    const { url, port, server } = await stage();
    const job = clientOf(port).submit("f", "w");
    await job.created();
    const { lease } = (await (await post(`${url}/grab?function=f`)).json()) as { lease: string };
    for (const [path, body, status] of [
      ["/nonsense", "", 404],
      ["/status", "half", 400],
      ["", "not json", 400],
      ["", '{"report":"data","data":7}', 400],
      ["", '{"__proto__":{"report":"fail"}}', 400],
      ["", "null", 400],
    ] as const) {
      expect((await post(`${url}/leases/${lease}${path}`, body)).status).toBe(status);
    }
    expect(server.core.state.running).toBe(1);
    expect((await post(`${url}/leases/${lease}/complete`, "r")).status).toBe(204);
    expect(Buffer.from(await job.result()).toString()).toBe("r");
  });
});
