import {
  byteString,
  bytesOf,
  encodeOptions,
  encodePacket,
  Found,
  type PacketName,
  PacketStream,
  PacketType,
  packetName,
  REQ,
} from "@drover/protocol";
import {
  type CoreNote,
  type CoreOptions,
  DEFAULT_FUNCTION_SETTINGS,
  DEFAULT_LIMITS,
  type FunctionSettings,
  type Identity,
  JobServerCore,
  type Limits,
  type Peer,
} from "../src/core/index.ts";

export interface TestOptions extends Partial<Omit<CoreOptions, "limits" | "settingsFor">> {
  readonly limits?: Partial<Limits>;
  /** Settings of every function. */
  readonly settings?: Partial<FunctionSettings>;
}

/** A server in memory with a clock that a test moves. Everything happens at once, by bytes. */
export class TestServer {
  readonly core: JobServerCore;
  readonly notes: CoreNote[] = [];
  nowMs = 1_000;
  wallMs = Date.UTC(2030, 0, 1, 12, 0, 0);
  readonly #peers = new Map<Peer, TestPeer>();
  #inTurn = false;

  constructor(options: TestOptions = {}) {
    const { limits, settings, ...rest } = options;
    const functionSettings = { ...DEFAULT_FUNCTION_SETTINGS, ...settings };
    this.core = new JobServerCore({
      handlePrefix: "H",
      firstHandle: 1,
      settingsFor: () => functionSettings,
      digest: (bytes) => byteString(bytes),
      random: () => 0.5,
      exceptionsForAll: false,
      wakeAtLeast: 0,
      timeoutUnit: "ms",
      version: "test",
      pid: 7,
      logLevel: "INFO",
      allowShutdown: false,
      ...rest,
      limits: { ...DEFAULT_LIMITS, ...limits },
    });
    this.core.setClock(this.nowMs, this.wallMs);
  }

  get state() {
    return this.core.state;
  }

  connect(address = "10.0.0.1", identity?: Identity): TestPeer {
    const peer = new TestPeer(this, this.core.connect(address, undefined, identity));
    this.#peers.set(peer.peer, peer);
    // It may be told at once that there is no room for it.
    this.turn(() => {});
    return peer;
  }

  /** A connection that agreed on drover.1. */
  connectDrover(): TestPeer {
    const peer = this.connect();
    peer.send("OPTION_REQ", ["drover.1"]);
    peer.expect("OPTION_RES drover.1");
    return peer;
  }

  /** A worker with these functions. */
  worker(...functions: string[]): TestPeer {
    const peer = this.connect();
    for (const name of functions) peer.send("CAN_DO", [name]);
    return peer;
  }

  /** New settings for every function, while it runs. */
  change(settings: Partial<FunctionSettings>): void {
    this.turn(() => this.core.applySettings(() => ({ ...DEFAULT_FUNCTION_SETTINGS, ...settings })));
  }

  /** Lets time pass on both clocks, doing what falls due when it does. */
  pass(ms: number): void {
    const untilMs = this.nowMs + ms;
    for (let next = this.core.nextTickMs; next <= untilMs; next = this.core.nextTickMs) {
      this.#moveTo(Math.max(next, this.nowMs));
      this.turn(() => this.core.tick());
      if (this.core.nextTickMs <= next) throw new Error("what was due is still due after a tick");
    }
    this.#moveTo(untilMs);
    this.turn(() => this.core.tick());
  }

  #moveTo(nowMs: number): void {
    this.wallMs += nowMs - this.nowMs;
    this.nowMs = nowMs;
  }

  /** Does something to the core and delivers what comes of it, at the end of the outermost turn. */
  turn(action: () => void): void {
    if (this.#inTurn) {
      action();
      return;
    }
    this.core.setClock(this.nowMs, this.wallMs);
    this.#inTurn = true;
    action();
    this.#inTurn = false;
    for (let dirty = this.core.takeDirty(); dirty.length > 0; dirty = this.core.takeDirty()) {
      for (const peer of dirty) {
        peer.dirty = false;
        this.#peers.get(peer)!.flush();
      }
    }
    this.notes.push(...this.core.takeNotes());
  }

  /** Codes of the notes so far. */
  get noteCodes(): string[] {
    return this.notes.map(({ code }) => code);
  }
}

/** A job as a worker gets it. */
export interface Assigned {
  readonly packet: string;
  readonly handle: string;
  readonly fn: string;
  readonly workload: string;
  /** All arguments, in order. */
  readonly args: readonly string[];
}

/** A packet as words, or a line of text. */
interface Received {
  readonly text: string;
  readonly type: number;
  readonly args: readonly string[];
  readonly data: string;
}

/** One connection, in a test's words. What it was sent waits in the order it came until the test looks. */
export class TestPeer {
  readonly peer: Peer;
  /** Off: it does not read, and everything piles up in the server. */
  reading = true;
  closed = false;
  readonly #server: TestServer;
  readonly #stream = new PacketStream({ maxBodyBytes: 100_000_000, maxLineBytes: 1_000_000 });
  readonly #inbox: Received[] = [];
  #unread: Uint8Array[] = [];

  constructor(server: TestServer, peer: Peer) {
    this.#server = server;
    this.peer = peer;
  }

  send(name: PacketName, args: readonly string[] = [], data = ""): void {
    this.bytes(encodePacket(REQ, PacketType[name], args, bytesOf(data)));
  }

  bytes(bytes: Uint8Array): void {
    // The server is only lent the bytes, so it must not miss them afterwards.
    const chunk = Uint8Array.from(bytes);
    this.#server.turn(() => {
      this.#server.core.receive(this.peer, chunk);
      chunk.fill(0xee);
    });
  }

  /** Several packets or lines in one chunk. */
  together(...parts: Uint8Array[]): void {
    this.bytes(Uint8Array.from(parts.flatMap((part) => [...part])));
  }

  /** Sends an admin command and gives back all that is answered. */
  admin(line: string): string[] {
    this.bytes(bytesOf(`${line}\r\n`));
    return this.got();
  }

  disconnect(): void {
    this.#server.turn(() => this.#server.core.disconnect(this.peer));
  }

  /** Reads what piled up, and goes on reading. */
  read(): void {
    this.reading = true;
    const unread = this.#unread;
    this.#unread = [];
    this.peer.unsentBytes = 0;
    for (const chunk of unread) this.#take(chunk);
    this.#server.turn(() => this.#server.core.drained(this.peer));
  }

  /** Called by the server's turn. */
  flush(): void {
    for (const chunk of this.peer.out.take()) {
      if (this.reading) this.#take(chunk);
      else {
        this.#unread.push(new Uint8Array(chunk));
        this.peer.unsentBytes += chunk.length;
      }
    }
    this.peer.out.recycle();
    if (this.peer.closing === null || this.closed) return;
    this.closed = true;
    this.#server.turn(() => this.#server.core.disconnect(this.peer));
  }

  #take(chunk: Uint8Array): void {
    const stream = this.#stream;
    stream.push(chunk);
    for (let found = stream.next(); found !== Found.MORE; found = stream.next()) {
      if (found === Found.LINE) {
        this.#inbox.push({ text: stream.line, args: [], data: "", type: 0 });
        continue;
      }
      if (found !== Found.PACKET) throw new Error(`the server sent no packet: ${found}`);
      const { type } = stream;
      const packet = stream.decode();
      const data = byteString(packet.data);
      const words = [packetName(type), ...packet.args, data].filter((word) => word !== "");
      this.#inbox.push({ text: words.join(" "), args: packet.args, data, type });
    }
  }

  /** Everything it was sent and no test has looked at: packets as words, lines as they are. */
  got(): string[] {
    return this.#inbox.splice(0).map(({ text }) => text);
  }

  /** What it got must be exactly this, in this order. */
  expect(...texts: string[]): void {
    const got = this.got();
    if (got.join("\n") === texts.join("\n")) return;
    throw new Error(`got\n  ${got.join("\n  ")}\ninstead of\n  ${texts.join("\n  ")}`);
  }

  /**
   * Submits a job. What else comes in the same turn stays to be looked at.
   * @returns its handle.
   */
  submit(fn: string, unique: string, workload = "w", type: PacketName = "SUBMIT_JOB"): string {
    this.send(type, [fn, unique], workload);
    return this.#handle();
  }

  background(fn: string, unique: string, workload = "w"): string {
    return this.submit(fn, unique, workload, "SUBMIT_JOB_BG");
  }

  /** Submits with drover.1's options. */
  submitWith(fn: string, unique: string, options: Readonly<Record<string, string>>, workload = "w"): string {
    this.send("SUBMIT_JOB_EXT", [fn, unique, encodeOptions(options)], workload);
    return this.#handle();
  }

  /** Submits a background job for a time, in milliseconds from now; whole seconds count. */
  submitLater(fn: string, unique: string, ms: number, workload = "w"): string {
    const seconds = Math.floor((this.#server.wallMs + ms) / 1000);
    this.send("SUBMIT_JOB_EPOCH", [fn, unique, String(seconds)], workload);
    return this.#handle();
  }

  #handle(): string {
    const at = this.#inbox.findIndex(
      ({ type }) => type === PacketType.JOB_CREATED || type === PacketType.ERROR,
    );
    const [answer] = at < 0 ? [] : this.#inbox.splice(at, 1);
    if (answer?.type !== PacketType.JOB_CREATED) throw new Error(`refused: ${answer?.text}`);
    return answer.args[0]!;
  }

  /** Asks for a job. @returns null for `NO_JOB`. */
  tryGrab(name: "GRAB_JOB" | "GRAB_JOB_UNIQ" | "GRAB_JOB_ALL" = "GRAB_JOB"): Assigned | null {
    this.send(name);
    const answers: readonly number[] = [
      PacketType.NO_JOB,
      PacketType.JOB_ASSIGN,
      PacketType.JOB_ASSIGN_UNIQ,
      PacketType.JOB_ASSIGN_ALL,
      PacketType.JOB_ASSIGN_EXT,
    ];
    const at = this.#inbox.findIndex(({ type }) => answers.includes(type));
    if (at < 0) throw new Error("a grab was not answered");
    const [{ type, args, data }] = this.#inbox.splice(at, 1) as [Received];
    if (type === PacketType.NO_JOB) return null;
    return { packet: packetName(type), handle: args[0]!, fn: args[1]!, workload: data, args };
  }

  grab(name: "GRAB_JOB" | "GRAB_JOB_UNIQ" | "GRAB_JOB_ALL" = "GRAB_JOB"): Assigned {
    const job = this.tryGrab(name);
    if (job === null) throw new Error("there is no job");
    return job;
  }

  /** Grabs until there is no more. @returns the workloads in order. */
  grabAll(): string[] {
    const workloads: string[] = [];
    for (let job = this.tryGrab(); job !== null; job = this.tryGrab()) workloads.push(job.workload);
    return workloads;
  }

  /** Tells that it sleeps, after having found no job. */
  sleep(): void {
    this.send("PRE_SLEEP");
  }

  data(handle: string, chunk: string): void {
    this.send("WORK_DATA", [handle], chunk);
  }

  warning(handle: string, chunk: string): void {
    this.send("WORK_WARNING", [handle], chunk);
  }

  status(handle: string, numerator: number | string, denominator: number | string = 10): void {
    this.send("WORK_STATUS", [handle, String(numerator), String(denominator)]);
  }

  complete(handle: string, result = "done"): void {
    this.send("WORK_COMPLETE", [handle], result);
  }

  fail(handle: string): void {
    this.send("WORK_FAIL", [handle]);
  }

  exception(handle: string, text = "bad"): void {
    this.send("WORK_EXCEPTION", [handle], text);
  }

  detach(handle: string): void {
    this.send("DETACH", [handle]);
  }
}
