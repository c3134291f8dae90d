import http2 from "node:http2";
import { Client } from "@drover/client";
import { encodePacket, PacketType, REQ } from "@drover/protocol";
import { dialWebSocket } from "@drover/transport";
import { describe, expect, it, onTestFinished } from "vitest";
import { until } from "../peers/until.ts";
import { rawTo } from "./raw.ts";
import { type Stage, stage } from "./stage.ts";

/* A client that does not read costs the server a limit's worth of memory, then its connection; the job goes on. */

const MIB = 1024 * 1024;
/** What the worker sends; many times what may be kept for a reader. */
const SENT_MIB = 300;
/** One reader's 16 MiB, in up to three copies on their way, and what a garbage collector has not looked at yet. */
const BOUND_MIB = 180;

/** Attaches a client that stops reading, to the job of the unique `u`. */
const READERS: Readonly<Record<string, (staged: Stage) => Promise<void>>> = {
  "events over HTTP/1.1": async ({ url }) => {
    const socket = rawTo(url);
    socket.pause();
    socket.write(
      "POST /v1/functions/f/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n" +
        'Gearman-Unique: "u"\r\nAccept: text/event-stream\r\n\r\n',
    );
  },
  "a body over HTTP/1.1": async ({ url }) => {
    const socket = rawTo(url);
    socket.pause();
    socket.write(
      "POST /v1/functions/f/jobs?data=concat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n" +
        'Gearman-Unique: "u"\r\n\r\n',
    );
  },
  "events over HTTP/2": async ({ url }) => {
    const session = http2.connect(new URL(url).origin);
    onTestFinished(() => session.destroy());
    session.on("error", () => {});
    const stream = session.request({
      ":method": "POST",
      ":path": "/v1/functions/f/jobs",
      accept: "application/x-ndjson",
      "gearman-unique": '"u"',
    });
    stream.on("error", () => {});
    // With a listener, so that Node does not throw away what nobody reads.
    stream.on("readable", () => {});
    stream.end();
  },
  "packets over a WebSocket": async ({ url }) => {
    const connection = await dialWebSocket(`${url.replace("http:", "ws:")}/ws`);
    onTestFinished(() => connection.destroy());
    connection.attach({ data() {}, drain() {}, close() {} });
    connection.send([encodePacket(REQ, PacketType.SUBMIT_JOB, ["f", "u"])]);
    connection.pause();
  },
};

describe("a slow reader is closed before it costs memory", () => {
  it.each(Object.keys(READERS))("%s", async (name) => {
    // What comes late is not what is measured.
    const staged = await stage({ functionDefaults: { replayLimitBytes: 0 } });
    const { server, port } = staged;
    const held = Promise.withResolvers<void>();
    const part = Buffer.alloc(64 * 1024, "x");
    let mostMiB = 0;
    staged.worker({
      f: async (job) => {
        await held.promise;
        const startMiB = process.memoryUsage.rss() / MIB;
        for (let sent = 0; sent < SENT_MIB * MIB; sent += part.length) {
          job.data(part);
          // The worker is in this process too, and what it sends is not to pile up in itself.
          if (sent % MIB === 0) await new Promise((resolve) => setTimeout(resolve, 1));
          mostMiB = Math.max(mostMiB, process.memoryUsage.rss() / MIB - startMiB);
        }
        return Buffer.from("end");
      },
    });
    await READERS[name]!(staged);
    await until("the reader waits", 5_000, () => server.core.state.submissionCount === 1);
    const client = new Client({ servers: `127.0.0.1:${port}` });
    onTestFinished(() => client.close());
    const quick = client.submit("f", "", { unique: "u" });
    await until("both wait", 5_000, () => server.core.state.submissionCount === 2);
    held.resolve();
    expect(Buffer.from(await quick.result()).toString()).toBe("end");
    expect(server.core.state.counts.slowReaders).toBe(1);
    expect(staged.logged.join("\n")).toContain("SLOW_READER");
    expect(mostMiB).toBeLessThan(BOUND_MIB);
    await until("nobody waits", 5_000, () => server.core.state.submissionCount === 0);
  });
});

describe("a reader of many results that takes none is closed", () => {
  it.each(["HTTP/1.1", "HTTP/2"])("%s", async (version) => {
    const { url, worker, server, logged } = await stage();
    worker({ f: () => Buffer.alloc(4 * MIB) }, 16);
    if (version === "HTTP/1.1") {
      const socket = rawTo(url);
      socket.pause();
      const request = "POST /v1/functions/f/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
      // All of them are begun before the first is answered.
      socket.write(request.repeat(100));
    } else {
      const session = http2.connect(new URL(url).origin);
      onTestFinished(() => session.destroy());
      session.on("error", () => {});
      for (let count = 0; count < 100; count++) {
        const stream = session.request({ ":method": "POST", ":path": "/v1/functions/f/jobs" });
        stream.on("error", () => {});
        stream.on("readable", () => {});
        stream.end();
      }
    }
    await until("it was closed", 20_000, () => server.core.state.counts.slowReaders > 0);
    expect(logged.join("\n")).toContain("SLOW_READER");
    const bystander = await fetch(`${url}/functions/f/jobs`, { method: "POST" });
    expect((await bystander.arrayBuffer()).byteLength).toBe(4 * MIB);
    await until("nobody waits", 5_000, () => server.core.state.submissionCount === 0);
    // Those 16 MiB, and one more of each that ran then.
    expect(server.core.state.counts.completed).toBeLessThan(60);
  });
});
