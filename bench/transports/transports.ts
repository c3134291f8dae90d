import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import http from "node:http";
import { join } from "node:path";
import { encodePacket, PacketType, REQ, RES } from "@drover/protocol";
import { dialWebSocket } from "@drover/transport";
import { CertificateAuthority } from "../../test/peers/certificates.ts";
import { until } from "../../test/peers/until.ts";
import { makeFolder } from "../children.ts";
import type { Outcome } from "../gearbench.ts";
import { type Options, type Step, settingsOf } from "../plan.ts";
import { type RunningServer, type ServerCommand, startServer } from "../servers.ts";
import { need } from "../tools.ts";
import { startEchoWorker } from "./echo-worker.ts";
import { h2load, VERSIONS, type Version } from "./h2load.ts";

/* What HTTP and WebSocket cost over Gearman's own port. */

const ROUNDS = 3;
const BODY_BYTES = 100;
/** Jobs that the worker behind HTTP has at a time: as many as h2load has requests. */
const WORKER_JOBS = 200;
const ECHO_BYTES = 100;
/** Packets of one write of the WebSocket's client, and writes under way. */
const BATCH = 200;
const BATCHES = 8;
const STREAMS = 10_000;
/** Streams that are opened at one time. */
const OPENING = 100;
const DEADLINE_MS = 60_000;

export const BARE = "bare";
export const JOB_SERVER = "drover";

/** The names of what this part measures, for the command line. */
export const TRANSPORTS = [
  ...Object.keys(VERSIONS).map((name) => ({ name: name as Version })),
  { name: "websocket" },
  { name: "idle-events" },
] as const;

/** What is needed besides the servers. */
interface Tools {
  readonly program: string;
  /** File of what is posted. */
  readonly body: string;
  command(what: typeof BARE | typeof JOB_SERVER): ServerCommand;
}

async function findTools(): Promise<Tools> {
  const program = await need("h2load", ["nghttp2-client"]);
  await need("openssl", ["openssl"]);
  const authority = await CertificateAuthority.create();
  const { cert, key } = await authority.issueForLocalhost();
  await authority.dispose();
  const folder = makeFolder();
  const file = (name: string, content: string | Buffer): string => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };
  const pair = `'${file("certificate", cert)}' '${file("key", key)}'`;
  const serve = join(import.meta.dirname, "serve.ts");
  return {
    program,
    body: file("body", randomBytes(BODY_BYTES).toString("latin1").slice(0, BODY_BYTES)),
    command: (what) => ({ name: what, command: `'${process.execPath}' '${serve}' ${what} ${pair}` }),
  };
}

export async function transportsPlan(options: Options): Promise<Step[]> {
  const rounds = options.rounds ?? ROUNDS;
  const settings = settingsOf(options, rounds, false);
  const { seconds, warmup, short } = options;
  const wanted = (name: string): boolean => options.only?.has(name) !== false;
  const tools = await findTools();
  const steps: Step[] = [];
  const add = (
    name: string,
    column: typeof BARE | typeof JOB_SERVER,
    round: number,
    measure: Step["measure"],
  ) =>
    steps.push({
      section: "transports",
      name,
      column,
      round,
      settings,
      server: tools.command(column),
      estimateS: seconds + warmup + 2,
      measure,
    });
  for (let round = 0; round < rounds; round++) {
    for (const version of Object.keys(VERSIONS) as Version[]) {
      if (!wanted(version)) continue;
      const amount = ["-D", String(Math.ceil(seconds))];
      const before = ["-D", String(Math.ceil(warmup))];
      for (const column of round % 2 === 0 ? ([BARE, JOB_SERVER] as const) : ([JOB_SERVER, BARE] as const)) {
        add(version, column, round, (server) => posted(tools, server, version, amount, before));
      }
    }
    if (wanted("websocket")) add("websocket", JOB_SERVER, round, (server) => echoed(server, warmup, seconds));
    if (wanted("idle-events")) {
      add("idle-events", JOB_SERVER, round, (server) => idle(server, short ? STREAMS / 10 : STREAMS));
    }
  }
  return steps;
}

/** Each of these once, small and short: only whether the answers are right. @returns How many were wrong. */
export async function checkTransports(): Promise<number> {
  const tools = await findTools();
  const server = await startServer(tools.command(JOB_SERVER), false);
  let wrong = 0;
  const tell = (name: string, { ok, complaint }: Outcome): void => {
    if (ok) return;
    wrong++;
    process.stderr.write(`bench: transports ${name} got wrong answers: ${complaint}\n`);
  };
  try {
    for (const version of Object.keys(VERSIONS) as Version[]) {
      tell(version, await posted(tools, server, version, ["-n", "500"]));
    }
    tell("websocket", await echoed(server, 0.1, 0.2));
    tell("idle-events", await idle(server, 100));
  } finally {
    await server.stop();
  }
  process.stdout.write(`bench: ${TRANSPORTS.length - wrong} transports right, ${wrong} wrong\n`);
  return wrong;
}

/**
 * Jobs posted, each answered with its result in one body by a worker on Gearman's port.
 * @param before The load that the server is warmed up with.
 */
async function posted(
  tools: Tools,
  server: RunningServer,
  version: Version,
  amount: readonly string[],
  before?: readonly string[],
): Promise<Outcome> {
  const load = async (): Promise<Outcome> => {
    if (before !== undefined) await h2load(tools.program, version, server, tools.body, before);
    return h2load(tools.program, version, server, tools.body, amount);
  };
  if (server.name === BARE) return load();
  const stop = await startEchoWorker(`127.0.0.1:${server.port + 4}`, WORKER_JOBS);
  try {
    return await load();
  } finally {
    await stop();
  }
}

/** Echo requests through one WebSocket, many to a message, some messages under way; every byte that returns is looked at. */
async function echoed(server: RunningServer, warmupS: number, seconds: number): Promise<Outcome> {
  const connection = await dialWebSocket(`ws://127.0.0.1:${server.port}/v1/ws`);
  const text = randomBytes(ECHO_BYTES);
  const repeated = (packet: Uint8Array) => Buffer.concat(Array<Uint8Array>(BATCH).fill(packet));
  const request = repeated(encodePacket(REQ, PacketType.ECHO_REQ, [], text));
  const expected = repeated(encodePacket(RES, PacketType.ECHO_RES, [], text));
  let at = 0;
  let answered = 0;
  let wrong = 0;
  const batchDone = (): void => {
    at = 0;
    answered++;
    connection.send([request]);
  };
  const over = Promise.withResolvers<void>();
  connection.attach({
    data: (bytes) => {
      for (let from = 0; from < bytes.length; ) {
        const to = Math.min(bytes.length, from + expected.length - at);
        if (expected.compare(bytes, from, to, at, at + to - from) !== 0) wrong++;
        at += to - from;
        from = to;
        if (at === expected.length) batchDone();
      }
    },
    drain: () => {},
    close: () => over.resolve(),
  });
  for (let batch = 0; batch < BATCHES; batch++) connection.send([request]);
  const after = (s: number) => new Promise<void>((resolve) => setTimeout(resolve, s * 1000));
  await after(warmupS);
  const [before, begun] = [answered, performance.now()];
  await after(seconds);
  const perSecond = ((answered - before) * BATCH * 1000) / (performance.now() - begun);
  connection.destroy();
  await over.promise;
  return {
    ok: wrong === 0 && perSecond > 0,
    figures: { ops_per_s: Math.round(perSecond) },
    complaint: `${wrong} pieces of echoes were not what was sent`,
  };
}

/** Clients of Server-Sent Events, each of a job that nobody does, and each on a connection of its own. */
async function idle(server: RunningServer, count: number): Promise<Outcome> {
  const agent = new http.Agent({ maxSockets: Number.POSITIVE_INFINITY });
  const before = server.rssKiB();
  let created = 0;
  let opened = 0;
  const open = (): void => {
    opened++;
    const headers = { accept: "text/event-stream" };
    const url = `http://127.0.0.1:${server.port}/v1/functions/waits/jobs`;
    const request = http.request(url, { method: "POST", agent, headers }, (response) => {
      response.once("data", () => created++);
      response.on("error", () => {});
    });
    request.on("error", () => {});
    request.end();
  };
  try {
    await until(`${count} streams are open`, DEADLINE_MS, () => {
      while (opened < count && opened - created < OPENING) open();
      return created === count;
    });
    const rssKiB = server.rssKiB();
    return {
      ok: true,
      figures: { rss_mib: rssKiB / 1024, rss_bytes_per_stream: ((rssKiB - before) * 1024) / count },
      complaint: "",
    };
  } finally {
    agent.destroy();
  }
}
