import http2 from "node:http2";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { encodePacket, PacketType, REQ, RES } from "@drover/protocol";
import { describe, expect, it, onTestFinished } from "vitest";
import { until } from "../peers/until.ts";
import { eventsOf, stage } from "./stage.ts";

const post = (
  url: string,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = {},
  signal?: AbortSignal,
) => fetch(url, { method: "POST", body, headers, ...(signal && { signal }) });

/** A gate that a handler waits at. */
function gate() {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { open: resolve, passed: promise };
}

describe("one body", () => {
  it("is the result, byte for byte, with the status of the outcome", async () => {
    const { url, worker } = await stage();
    worker({
      echo: (job) => job.workload,
      bad: () => {
        throw new Error("no such picture");
      },
    });
    const bytes = Uint8Array.from({ length: 512 }, (_, i) => i & 0xff);
    const done = await post(`${url}/functions/echo/jobs`, bytes);
    expect(done.status).toBe(200);
    expect(new Uint8Array(await done.arrayBuffer())).toEqual(bytes);
    expect(done.headers.get("gearman-handle")).toMatch(/^H:/);
    expect(done.headers.get("gearman-coalesced")).toBe("?0");
    const failed = await post(`${url}/functions/bad/jobs`, "x", { "gearman-unique": '"u"' });
    expect(failed.status).toBe(500);
    expect(failed.headers.get("content-type")).toMatch("application/problem+json");
    expect(await failed.json()).toMatchObject({
      type: "/v1/problems/job-exception",
      retryable: false,
      unique: "u",
      exception: "no such picture",
    });
  });

  it("joins: a hundred requests with one unique run one job, and all get its result", async () => {
    const { url, worker, server } = await stage();
    const held = gate();
    worker({
      f: async (job) => {
        await held.passed;
        return job.workload;
      },
    });
    const asked = Array.from({ length: 100 }, () =>
      post(`${url}/functions/f/jobs`, "w", { "gearman-unique": '"same"' }),
    );
    await until("all have joined", 5_000, () => server.core.state.submissionCount === 100);
    held.open();
    const answers = await Promise.all(asked);
    expect(await Promise.all(answers.map((answer) => answer.text()))).toEqual(Array(100).fill("w"));
    expect(answers.filter((answer) => answer.headers.get("gearman-coalesced") === "?0")).toHaveLength(1);
    expect(server.core.state.counts.runs).toBe(1);
  });

  it("is 504 when the time of the worker or of the request was spent, and says which", async () => {
    const { url, server } = await stage({ timeoutUnit: "ms" });
    const tooLong = post(`${url}/functions/f/jobs`, "", { "gearman-unique": '"u"' });
    const events = post(`${url}/functions/f/jobs`, "", {
      "gearman-unique": '"u"',
      accept: "application/x-ndjson",
    });
    const packets = post(`${url}/functions/f/jobs`, "", {
      "gearman-unique": '"u"',
      accept: "application/vnd.gearman",
    });
    await until("all have joined", 5_000, () => server.core.state.submissionCount === 3);
    const [address] = server.addresses;
    const socket = connect(address!.port, "127.0.0.1");
    onTestFinished(() => void socket.destroy());
    socket.write(encodePacket(REQ, PacketType.CAN_DO_TIMEOUT, ["f", "50"]));
    socket.write(encodePacket(REQ, PacketType.GRAB_JOB));
    const answer = await tooLong;
    expect(answer.status).toBe(504);
    const handle = answer.headers.get("gearman-handle")!;
    expect(await answer.json()).toMatchObject({
      type: "/v1/problems/job-timeout",
      detail: "the job took longer than its worker allows itself",
      retryable: false,
      handle,
      unique: "u",
    });
    expect(await (await events).text()).toMatch(/\n\{"event":"fail","reason":"job-timeout"/);
    const failure = encodePacket(RES, PacketType.WORK_FAIL, [handle]);
    expect(Buffer.from(await (await packets).arrayBuffer()).subarray(-failure.length)).toEqual(
      Buffer.from(failure),
    );
    const late = await post(`${url}/functions/none/jobs`, "", { "gearman-deadline": "1" });
    expect(late.status).toBe(504);
    expect(await late.json()).toMatchObject({ detail: "Gearman-Deadline passed before the job ended" });
  });

  it("is 500 when the job was given up for another reason, and says which", async () => {
    const { url, server } = await stage({ functionDefaults: { maxAttempts: 1 } });
    const lost = post(`${url}/functions/f/jobs`, "");
    await until("it waits", 5_000, () => server.core.state.submissionCount === 1);
    const socket = connect(server.addresses[0]!.port, "127.0.0.1");
    socket.write(encodePacket(REQ, PacketType.CAN_DO, ["f"]));
    socket.write(encodePacket(REQ, PacketType.GRAB_JOB));
    await until("it runs", 5_000, () => server.core.state.running === 1);
    socket.destroy();
    const answer = await lost;
    expect(answer.status).toBe(500);
    expect(await answer.json()).toMatchObject({
      type: "/v1/problems/job-failed",
      detail: "the job was given up: its workers were lost",
    });
  });

  it("streams data where that is asked for, and cuts it when the job fails", async () => {
    const { url, worker } = await stage();
    worker({
      parts: (job) => {
        job.data(Buffer.from("a"));
        job.data(Buffer.from("b"));
        return Buffer.from("c");
      },
      breaks: (job) => {
        job.data(Buffer.from("a"));
        throw new Error("gone");
      },
    });
    expect(await (await post(`${url}/functions/parts/jobs?data=concat`, "")).text()).toBe("abc");
    expect(await (await post(`${url}/functions/parts/jobs`, "")).text()).toBe("c");
    const broken = post(`${url}/functions/breaks/jobs?data=concat`, "").then((answer) => answer.text());
    await expect(broken).rejects.toThrow();
  });

  it("is waited for as long as was asked; then the job goes on and can be attached to", async () => {
    const { url, worker } = await stage();
    const held = gate();
    worker({
      f: async (job) => {
        job.data(Buffer.from("early"));
        await held.passed;
        return Buffer.from("late");
      },
    });
    const answer = await post(`${url}/functions/f/jobs`, "", { prefer: "wait=0" });
    expect(answer.status).toBe(202);
    const { handle } = (await answer.json()) as { handle: string };
    expect(answer.headers.get("location")).toBe(`/v1/jobs/${encodeURIComponent(handle)}`);
    const events = await fetch(`${url}/jobs/${handle}/events`, {
      headers: { accept: "application/x-ndjson" },
    });
    held.open();
    const names: unknown[] = [];
    for await (const { event, data } of eventsOf(events)) names.push([event, data]);
    expect(names).toEqual([
      ["created", undefined],
      ["data", "early"],
      ["complete", "late"],
    ]);
  });
});

describe("a client that leaves", () => {
  it.each(["h1", "h2"] as const)("takes its waiting job along: %s", async (version) => {
    const { url, server } = await stage();
    const leave = new AbortController();
    if (version === "h1") {
      const asked = post(`${url}/functions/f/jobs`, "w", {}, leave.signal);
      asked.catch(() => {});
    } else {
      const session = http2.connect(new URL(url).origin);
      const stream = session.request({ ":method": "POST", ":path": "/v1/functions/f/jobs" });
      stream.on("error", () => {});
      stream.end("w");
      leave.signal.addEventListener("abort", () => {
        stream.close(http2.constants.NGHTTP2_CANCEL);
        stream.once("close", () => session.close());
      });
    }
    await until("the job waits", 5_000, () => server.core.state.jobs.size === 1);
    leave.abort();
    await until("it is gone", 5_000, () => server.core.state.jobs.size === 0);
    expect(server.core.state.submissionCount).toBe(0);
  });

  it("leaves a job that is to be kept", async () => {
    const { url, server } = await stage();
    const leave = new AbortController();
    const asked = post(`${url}/functions/f/jobs`, "w", { "gearman-keep": "?1" }, leave.signal);
    await until("the job waits", 5_000, () => server.core.state.submissionCount === 1);
    leave.abort();
    await expect(asked).rejects.toThrow();
    await until("nobody waits", 5_000, () => server.core.state.submissionCount === 0);
    expect(server.core.state.jobs.size).toBe(1);
  });
});

describe("events", () => {
  it("are the same over HTTP/1.1, HTTP/2 and for late comers, and end with one outcome", async () => {
    const { url, worker, server } = await stage();
    const held = gate();
    worker({
      f: async (job) => {
        job.data(Buffer.from([0xff, 0]));
        job.warning(Buffer.from("careful"));
        job.status(1, 3);
        await held.passed;
        job.data(Buffer.from("two"));
        return Buffer.from("end");
      },
    });
    const headers = { accept: "application/x-ndjson", "gearman-unique": '"u"' };
    const first = await post(`${url}/functions/f/jobs`, "", headers);
    const session = http2.connect(new URL(url).origin);
    const stream = session.request({ ...headers, ":method": "POST", ":path": "/v1/functions/f/jobs" });
    stream.end();
    await until("both wait", 5_000, () => server.core.state.submissionCount === 2);
    held.open();
    const seen: Record<string, unknown>[] = [];
    for await (const event of eventsOf(first)) seen.push(event);
    const late = (await text(stream))
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    session.close();
    const reports = (all: Record<string, unknown>[]) =>
      all
        .filter(({ event }) => event !== "created" && event !== "status")
        .map(({ event, data, encoding }) => [event, data, encoding]);
    expect(reports(seen)).toEqual([
      ["data", "/wA=", "base64"],
      ["warning", "careful", "utf8"],
      ["data", "two", "utf8"],
      ["complete", "end", "utf8"],
    ]);
    expect(reports(late)).toEqual(reports(seen));
    expect(late[0]).toMatchObject({ event: "created", coalesced: true, unique: "u" });
    expect(late.find(({ event }) => event === "status")).toMatchObject({ numerator: 1, denominator: 3 });
  });

  it("resume behind the last one seen, without a gap or a double", async () => {
    const { url, worker } = await stage();
    const held = gate();
    worker({
      f: async (job) => {
        for (const part of ["a", "b", "c"]) job.data(Buffer.from(part));
        await held.passed;
        job.data(Buffer.from("d"));
        return Buffer.from("end");
      },
    });
    const leave = new AbortController();
    const headers = { accept: "application/x-ndjson", "gearman-unique": '"u"', "gearman-keep": "?1" };
    const first = await post(`${url}/functions/f/jobs`, "", headers, leave.signal);
    let handle = "";
    let id = "";
    for await (const event of eventsOf(first)) {
      handle ||= event.handle as string;
      id = event.id as string;
      if (event.data === "b") break;
    }
    leave.abort();
    const again = await fetch(`${url}/jobs/${handle}/events`, {
      headers: { accept: "application/x-ndjson", "last-event-id": id },
    });
    held.open();
    const rest: unknown[] = [];
    for await (const { event, data } of eventsOf(again)) rest.push([event, data]);
    expect(rest).toEqual([
      ["data", "c"],
      ["data", "d"],
      ["complete", "end"],
    ]);
  });

  it("resume after the end as long as the result is kept, and else say that the state is lost", async () => {
    const { url, worker } = await stage();
    worker({
      f: (job) => {
        job.data(Buffer.from("a"));
        return Buffer.from("end");
      },
    });
    const kept = await post(`${url}/functions/f/jobs`, "", {
      "gearman-unique": '"u"',
      "gearman-result-ttl": "60",
    });
    const handle = kept.headers.get("gearman-handle")!;
    const epoch = kept.headers.get("gearman-server")!;
    const resume = (id: string) =>
      fetch(`${url}/jobs/${handle}/events`, {
        headers: { accept: "application/x-ndjson", "last-event-id": id },
      });
    expect(await (await resume(`${epoch}.${handle}.1.1`)).text()).toMatch(
      /^\{"event":"complete","data":"end"/,
    );
    for (const id of [`other.${handle}.1.1`, "nonsense", `${epoch}.H:x:1.1.1`]) {
      const lost = await resume(id);
      expect(lost.status).toBe(410);
      expect(await lost.json()).toMatchObject({ type: "/v1/problems/state-lost", retryable: true });
    }
    const gone = await fetch(`${url}/jobs/H:x:1/events`, { headers: { accept: "text/event-stream" } });
    expect(gone.status).toBe(404);
  });
});

describe("background jobs", () => {
  it("are accepted, run, and are asked for by handle and by unique", async () => {
    const { url, worker } = await stage();
    const headers = { prefer: "respond-async", "gearman-unique": ":/wE=:", "gearman-priority": "low" };
    const accepted = await post(`${url}/functions/f/jobs`, "w", headers);
    expect(accepted.status).toBe(202);
    const location = new URL(accepted.headers.get("location")!, url);
    expect(await (await fetch(location)).json()).toMatchObject({
      state: "queued",
      known: true,
      running: false,
    });
    expect((await fetch(`${url}/functions/f/uniques/_wE`)).status).toBe(200);
    const again = await post(`${url}/functions/f/jobs`, "w", headers);
    expect(again.headers.get("gearman-coalesced")).toBe("?1");
    worker({ f: () => Buffer.from("") });
    await until("it is done", 5_000, async () => {
      const { state } = (await (await fetch(location)).json()) as { state: string };
      return state === "done";
    });
    expect(await (await fetch(location)).json()).toMatchObject({ known: false, state: "done" });
  });

  it.each([
    ["bytes that are no UTF-8", ":7/8=:", "\xef\xff"],
    ["UTF-8, the replacement character too", ":77+9w6k=:", "\ufffd\u00e9"],
  ])("show a unique of %s as it is", async (_what, field, shown) => {
    const { url } = await stage();
    const headers = { prefer: "respond-async", "gearman-unique": field };
    const accepted = await post(`${url}/functions/f/jobs`, "", headers);
    expect(await accepted.json()).toMatchObject({ unique: shown });
  });

  it("are asked for by their unique alone, of whatever function, while they live", async () => {
    const { url, worker } = await stage();
    expect((await fetch(`${url}/uniques/~u`)).status).toBe(404);
    const headers = { prefer: "respond-async", "gearman-unique": '"u"' };
    await post(`${url}/functions/f/jobs`, "", headers);
    expect(await (await fetch(`${url}/uniques/~u`)).json()).toMatchObject({ function: "f", state: "queued" });
    worker({ f: () => "" });
    await until("it is done", 5_000, async () => (await fetch(`${url}/uniques/~u`)).status === 404);
  });

  it("do not join what runs where that is asked for", async () => {
    const { url, worker, server } = await stage();
    const held = gate();
    worker({ f: () => held.passed.then(() => "") });
    const submit = async (more: Record<string, string>) => {
      const headers = { prefer: "respond-async", "gearman-unique": '"u"', ...more };
      return (await post(`${url}/functions/f/jobs`, "", headers)).headers.get("gearman-handle");
    };
    const first = await submit({});
    await until("it runs", 5_000, () => server.core.state.running === 1);
    expect(await submit({})).toBe(first);
    expect(await submit({ "gearman-rerun-if-active": "?1" })).not.toBe(first);
    held.open();
    await until("both have run", 5_000, () => server.core.state.counts.runs === 2);
  });

  it("wait for their time, and run at once when it has passed", async () => {
    const { url, worker } = await stage();
    const at = Math.floor(Date.now() / 1000) + 3600;
    const later = await post(`${url}/functions/f/jobs`, "", {
      "gearman-run-at": `@${at}`,
      "gearman-unique": '"l"',
    });
    expect(later.status).toBe(202);
    expect(await (await fetch(`${url}/functions/f/uniques/~l`)).json()).toMatchObject({ state: "delayed" });
    const ran = gate();
    worker({
      g: () => {
        ran.open();
        return Buffer.from("");
      },
    });
    expect((await post(`${url}/functions/g/jobs`, "", { "gearman-run-at": "@1000" })).status).toBe(202);
    await ran.passed;
  });
});

describe("DELETE", () => {
  it("removes a waiting job, detaches from one that others wait for, and refuses one that runs", async () => {
    const { url, worker, server } = await stage();
    const accepted = await post(`${url}/functions/f/jobs`, "", { prefer: "respond-async" });
    const { handle } = (await accepted.json()) as { handle: string };
    const remove = (which: string) => fetch(`${url}/jobs/${which}`, { method: "DELETE" });
    expect((await remove(handle)).status).toBe(204);
    expect((await remove("H:x:1")).status).toBe(404);
    const waits = post(`${url}/functions/f/jobs`, "", { "gearman-unique": '"u"', "gearman-keep": "?1" });
    await until("it waits", 5_000, () => server.core.state.submissionCount === 1);
    const { handle: shared } = (await (await fetch(`${url}/functions/f/uniques/~u`)).json()) as {
      handle: string;
    };
    expect((await remove(shared)).status).toBe(202);
    const held = gate();
    worker({
      f: async () => {
        await held.passed;
        return Buffer.from("r");
      },
    });
    await until("it runs", 5_000, () => server.core.state.running === 1);
    expect((await remove(shared)).status).toBe(409);
    held.open();
    expect(await (await waits).text()).toBe("r");
  });
});

describe("what is wrong is told as a problem", () => {
  it.each([
    ["a function without a name", "/functions/%00/jobs", {}, 400, "bad-function"],
    ["a function's name that is too long", `/functions/${"x".repeat(513)}/jobs`, {}, 413, "too-large"],
    [
      "a unique that is no structured field",
      "/functions/f/jobs",
      { "gearman-unique": "bare word" },
      400,
      "bad-header",
    ],
    ["a priority that is none", "/functions/f/jobs", { "gearman-priority": "urgent" }, 400, "bad-header"],
    ["a time that is none", "/functions/f/jobs", { "gearman-run-at": "tomorrow" }, 400, "bad-header"],
    ["a form that there is not", "/functions/f/jobs", { accept: "image/png" }, 406, "not-acceptable"],
    [
      "no worker where one is required",
      "/functions/f/jobs",
      { "gearman-require-worker": "?1" },
      503,
      "no-worker",
    ],
    ["a page of another site", "/functions/f/jobs", { origin: "https://evil.example" }, 403, "cross-site"],
    ["another site's request", "/functions/f/jobs", { "sec-fetch-site": "cross-site" }, 403, "cross-site"],
    ["nothing there", "/nothing", {}, 404, "not-found"],
    ["another method", "/jobs/x", {}, 405, "method-not-allowed"],
  ] as const)("%s", async (_what, path, headers, status, name) => {
    const { url } = await stage();
    const answer = await post(url + path, "w", headers);
    expect(answer.status).toBe(status);
    expect(await answer.json()).toMatchObject({ type: `/v1/problems/${name}`, status });
  });

  it("GET does not submit", async () => {
    const { url, server } = await stage();
    expect((await fetch(`${url}/functions/f/jobs`)).status).toBe(404);
    expect(server.core.state.counts.submissions).toBe(0);
  });

  it("a conflict where joining is not wanted, a full queue, a body that is too large", async () => {
    const { url } = await stage({ functionDefaults: { maxQueue: [1, 1, 1] } }, { maxBodyBytes: 1000 });
    await post(`${url}/functions/f/jobs`, "", { prefer: "respond-async", "gearman-unique": '"u"' });
    const conflict = await post(`${url}/functions/f/jobs`, "", {
      "gearman-unique": '"u"',
      "gearman-on-conflict": "reject",
    });
    expect(conflict.status).toBe(409);
    expect(await conflict.json()).toMatchObject({
      type: "/v1/problems/unique-conflict",
      handle: expect.stringMatching(/^H:/),
    });
    const full = await post(`${url}/functions/f/jobs`, "");
    expect(full.status).toBe(503);
    expect(full.headers.get("retry-after")).toBe("1");
    expect((await post(`${url}/functions/f/jobs`, "x".repeat(2000))).status).toBe(413);
  });

  it("a name of the host that is not this server's", async () => {
    const { url } = await stage();
    const { port } = new URL(url);
    const socket = connect(Number(port), "127.0.0.1");
    socket.end(`GET /v1/jobs/x HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n`);
    expect(await text(socket)).toMatch(/^HTTP\/1.1 403 .*host-not-allowed/s);
  });
});
