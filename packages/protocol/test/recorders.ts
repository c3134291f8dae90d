import {
  type AssignedJob,
  byteString,
  bytesOf,
  decodeBody,
  encodePacket,
  HEADER_BYTES,
  PacketType,
  packetName,
  RES,
  readUint32,
  type Submitter,
  type WireError,
  type WorkerHandlers,
} from "../src/index.ts";

/** Writes down in words what a submission is told. */
export class TellingSubmitter implements Submitter {
  readonly told: string[] = [];
  handle = "";
  /** How often one of the last words came. */
  ends = 0;
  created(handle: string): void {
    this.handle = handle;
    this.told.push(`created ${handle}`);
  }
  data(chunk: Uint8Array): void {
    this.told.push(`data ${byteString(chunk)}`);
  }
  warning(chunk: Uint8Array): void {
    this.told.push(`warning ${byteString(chunk)}`);
  }
  status(numerator: string, denominator: string): void {
    this.told.push(`status ${numerator}/${denominator}`);
  }
  restarted(attempt: number): void {
    this.told.push(`restarted ${attempt}`);
  }
  complete(result: Uint8Array): void {
    this.#end(`complete ${byteString(result)}`);
  }
  fail(): void {
    this.#end("fail");
  }
  exception(exception: Uint8Array): void {
    this.#end(`exception ${byteString(exception)}`);
  }
  refused(error: WireError): void {
    this.#end(`refused ${error.code}`);
  }
  lost(): void {
    this.#end("lost");
  }
  #end(what: string): void {
    this.ends++;
    this.told.push(what);
  }
}

/** Writes down in words what a worker's driver is told. */
export class TellingWorker implements WorkerHandlers {
  readonly told: string[] = [];
  readonly jobs: AssignedJob[] = [];
  assigned(job: AssignedJob): void {
    this.jobs.push(job);
    this.told.push(`assigned ${job.handle} ${job.function} ${job.unique}`);
  }
  cancel(job: AssignedJob): void {
    this.told.push(`cancel ${job.handle}`);
  }
  lateReport(error: WireError): void {
    this.told.push(`late ${error.code}`);
  }
  error(error: WireError): void {
    this.told.push(`error ${error.code}`);
  }
  drained(): void {
    this.told.push("drained");
  }
}

/** Writes down in words what is sent: the packet's name, its arguments and its data. */
export class TellingSink {
  readonly sent: string[] = [];
  write(bytes: Uint8Array): void {
    const type = readUint32(bytes, 4);
    const packet = decodeBody(readUint32(bytes, 0) as typeof RES, type, bytes, HEADER_BYTES, bytes.length);
    const data = byteString(packet.data);
    this.sent.push([packetName(type), ...packet.args, ...(data === "" ? [] : [data])].join(" "));
  }
  /** What was sent since the last call. */
  take(): string[] {
    return this.sent.splice(0);
  }
}

/** A packet as the server sends it. */
export function fromServer(name: keyof typeof PacketType, args: readonly string[] = [], data = "") {
  const type = PacketType[name];
  const bytes = encodePacket(RES, type, args, bytesOf(data));
  return decodeBody(RES, type, bytes, HEADER_BYTES, bytes.length);
}
