import {
  type ByteSink,
  byteString,
  encodePacket,
  Found,
  type Packet,
  PacketStream,
  PacketType,
  REQ,
  RES,
} from "../src/index.ts";

const LIMITS = { maxBodyBytes: 1_000_000, maxLineBytes: 100 };

/** Feeds bytes, however cut, to `receive` as packets. */
export function packetReader(receive: (packet: Packet) => void): (bytes: Uint8Array) => void {
  const stream = new PacketStream(LIMITS);
  return (bytes) => {
    stream.push(bytes);
    for (let found = stream.next(); found !== Found.MORE; found = stream.next()) {
      if (found !== Found.PACKET) throw new Error(`the stream broke: ${found}`);
      receive(stream.decode());
    }
  };
}

interface Peer {
  readonly sink: ByteSink;
  readonly abilities: Set<string>;
  asleep: boolean;
  exceptions: boolean;
}

interface Job {
  readonly handle: string;
  readonly function: string;
  readonly unique: string;
  readonly workload: Uint8Array;
  /** One entry for each foreground submission, so a peer may be here twice. */
  readonly submitters: Peer[];
  readonly history: Uint8Array<ArrayBuffer>[];
  status: Uint8Array<ArrayBuffer> | undefined;
  worker: Peer | undefined;
  background: boolean;
}

/**
 * A Gearman server of few words to test the sessions against: naive on purpose, one list of jobs. With `replay` a late
 * joiner gets what was reported so far, as from Drover; without, as from gearmand, it does not.
 */
export class ModelServer {
  readonly jobs: Job[] = [];
  /** All data and warnings of each handle, in order, with their packet types. */
  readonly reported = new Map<string, string[]>();
  readonly #replay: boolean;
  readonly #peers: Peer[] = [];
  #handles = 0;

  constructor(options: { readonly replay: boolean }) {
    this.#replay = options.replay;
  }

  /** @returns What takes the peer's bytes, and what is to be called when its connection is lost. */
  connect(sink: ByteSink): { receive(bytes: Uint8Array): void; lost(): void } {
    const peer: Peer = { sink, abilities: new Set(), asleep: false, exceptions: false };
    this.#peers.push(peer);
    return {
      receive: packetReader((packet) => this.#receive(peer, packet)),
      lost: () => this.#lost(peer),
    };
  }

  /** Its jobs go to others; a queued job without submitters is dropped, unless it is a background job. */
  #lost(peer: Peer): void {
    this.#peers.splice(this.#peers.indexOf(peer), 1);
    for (const job of [...this.jobs]) {
      if (job.worker === peer) {
        job.worker = undefined;
        job.history.length = 0;
        job.status = undefined;
      }
      const before = job.submitters.length;
      for (let i = before - 1; i >= 0; i--) if (job.submitters[i] === peer) job.submitters.splice(i, 1);
      const abandoned = before > 0 && job.submitters.length === 0 && !job.background;
      if (abandoned && job.worker === undefined) this.jobs.splice(this.jobs.indexOf(job), 1);
    }
    this.#wake();
  }

  #receive(peer: Peer, packet: Packet): void {
    if (packet.magic !== REQ) throw new Error("a peer sent the magic of an answer");
    const [first = "", second = ""] = packet.args;
    switch (packet.type) {
      case PacketType.SUBMIT_JOB:
      case PacketType.SUBMIT_JOB_BG:
        this.#submit(peer, first, second, packet.data, packet.type === PacketType.SUBMIT_JOB_BG);
        return;
      case PacketType.CAN_DO:
      case PacketType.CAN_DO_TIMEOUT:
        if (peer.abilities.has(first)) throw new Error(`${first} was registered twice`);
        peer.abilities.add(first);
        return;
      case PacketType.CANT_DO:
        this.#refuseWhileRunning(peer, (job) => job.function === first);
        peer.abilities.delete(first);
        return;
      case PacketType.RESET_ABILITIES:
        this.#refuseWhileRunning(peer, () => true);
        peer.abilities.clear();
        return;
      case PacketType.GRAB_JOB_UNIQ:
        this.#grab(peer);
        return;
      case PacketType.PRE_SLEEP:
        peer.asleep = true;
        this.#wake();
        return;
      case PacketType.ECHO_REQ:
        this.#send(peer, PacketType.ECHO_RES, [], packet.data);
        return;
      case PacketType.OPTION_REQ:
        if (first !== "exceptions") {
          this.#send(peer, PacketType.ERROR, ["UNKNOWN_OPTION", "no such option"]);
          return;
        }
        peer.exceptions = true;
        this.#send(peer, PacketType.OPTION_RES, [first]);
        return;
      case PacketType.GET_STATUS: {
        const job = this.jobs.find(({ handle }) => handle === first);
        const known = job === undefined ? "0" : "1";
        this.#send(peer, PacketType.STATUS_RES, [
          first,
          known,
          job?.worker === undefined ? "0" : "1",
          "0",
          "0",
        ]);
        return;
      }
      default:
        this.#report(peer, packet);
        return;
    }
  }

  #submit(peer: Peer, name: string, unique: string, workload: Uint8Array, background: boolean): void {
    if (name === "full") {
      this.#send(peer, PacketType.ERROR, ["QUEUE_ERROR", "Job queue is full"]);
      return;
    }
    let job = this.jobs.find((one) => unique !== "" && one.function === name && one.unique === unique);
    if (job === undefined) {
      const handle = `H:${++this.#handles}`;
      job = {
        handle,
        function: name,
        unique,
        workload: workload.slice(),
        submitters: [],
        history: [],
        status: undefined,
        worker: undefined,
        background: false,
      };
      this.jobs.push(job);
      this.reported.set(handle, []);
    }
    this.#send(peer, PacketType.JOB_CREATED, [job.handle]);
    if (background) job.background = true;
    else {
      job.submitters.push(peer);
      if (this.#replay) {
        for (const bytes of job.history) peer.sink.write(bytes);
        if (job.status !== undefined) peer.sink.write(job.status);
      }
    }
    this.#wake();
  }

  #grab(peer: Peer): void {
    peer.asleep = false;
    const job = this.jobs.find((one) => one.worker === undefined && peer.abilities.has(one.function));
    if (job === undefined) {
      this.#send(peer, PacketType.NO_JOB, []);
      return;
    }
    job.worker = peer;
    this.#send(peer, PacketType.JOB_ASSIGN_UNIQ, [job.handle, job.function, job.unique], job.workload);
  }

  #report(peer: Peer, packet: Packet): void {
    const job = this.jobs.find((one) => one.handle === packet.args[0] && one.worker === peer);
    if (job === undefined) {
      this.#send(peer, PacketType.ERROR, ["JOB_NOT_FOUND", "Job does not exist on server"]);
      return;
    }
    const ends: number[] = [PacketType.WORK_COMPLETE, PacketType.WORK_FAIL, PacketType.WORK_EXCEPTION];
    const bytes = encodePacket(RES, packet.type, packet.args, packet.data);
    if (packet.type === PacketType.WORK_STATUS) job.status = bytes;
    else if (!ends.includes(packet.type)) {
      job.history.push(bytes);
      this.reported.get(job.handle)!.push(`${packet.type} ${byteString(packet.data)}`);
    }
    for (const submitter of job.submitters) {
      if (packet.type === PacketType.WORK_EXCEPTION && !submitter.exceptions) {
        this.#send(submitter, PacketType.WORK_FAIL, [job.handle]);
      } else submitter.sink.write(bytes);
    }
    if (ends.includes(packet.type)) this.jobs.splice(this.jobs.indexOf(job), 1);
  }

  /** gearmand would requeue the job while it runs: a session never lets it come to that. */
  #refuseWhileRunning(peer: Peer, which: (job: Job) => boolean): void {
    if (this.jobs.some((job) => job.worker === peer && which(job)))
      throw new Error("withdrawn while a job runs");
  }

  #wake(): void {
    for (const job of this.jobs) {
      if (job.worker !== undefined) continue;
      for (const peer of this.#peers) {
        if (!peer.asleep || !peer.abilities.has(job.function)) continue;
        peer.asleep = false;
        this.#send(peer, PacketType.NOOP, []);
      }
    }
  }

  #send(peer: Peer, type: number, args: readonly string[], data?: Uint8Array): void {
    peer.sink.write(encodePacket(RES, type, args, data));
  }
}
