/**
 * Packets as the tests write and read them. Written apart from packages/protocol on purpose: a mistake there must
 * not be able to hide itself here.
 */
export const types = {
  CAN_DO: 1,
  CANT_DO: 2,
  RESET_ABILITIES: 3,
  PRE_SLEEP: 4,
  UNUSED: 5,
  NOOP: 6,
  SUBMIT_JOB: 7,
  JOB_CREATED: 8,
  GRAB_JOB: 9,
  NO_JOB: 10,
  JOB_ASSIGN: 11,
  WORK_STATUS: 12,
  WORK_COMPLETE: 13,
  WORK_FAIL: 14,
  GET_STATUS: 15,
  ECHO_REQ: 16,
  ECHO_RES: 17,
  SUBMIT_JOB_BG: 18,
  ERROR: 19,
  STATUS_RES: 20,
  SUBMIT_JOB_HIGH: 21,
  SET_CLIENT_ID: 22,
  CAN_DO_TIMEOUT: 23,
  ALL_YOURS: 24,
  WORK_EXCEPTION: 25,
  OPTION_REQ: 26,
  OPTION_RES: 27,
  WORK_DATA: 28,
  WORK_WARNING: 29,
  GRAB_JOB_UNIQ: 30,
  JOB_ASSIGN_UNIQ: 31,
  SUBMIT_JOB_HIGH_BG: 32,
  SUBMIT_JOB_LOW: 33,
  SUBMIT_JOB_LOW_BG: 34,
  SUBMIT_JOB_SCHED: 35,
  SUBMIT_JOB_EPOCH: 36,
  SUBMIT_REDUCE_JOB: 37,
  SUBMIT_REDUCE_JOB_BACKGROUND: 38,
  GRAB_JOB_ALL: 39,
  JOB_ASSIGN_ALL: 40,
  GET_STATUS_UNIQUE: 41,
  STATUS_RES_UNIQUE: 42,
} as const;

export type TypeName = keyof typeof types;

const nameOf = new Map<number, string>(Object.entries(types).map(([name, number]) => [number, name]));

export const typeName = (type: number): string => nameOf.get(type) ?? `TYPE_${type}`;

/** One thing a server sent: a packet, or a line of text with its ending. */
export type Received = { kind: "packet"; type: string; body: Buffer } | { kind: "text"; text: string };

export const headerBytes = 12;

export function packet(type: TypeName | number, body: Buffer, magic = "\0REQ"): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.write(magic, "latin1");
  header.writeUInt32BE(typeof type === "number" ? type : types[type], 4);
  header.writeUInt32BE(body.length, 8);
  return Buffer.concat([header, body]);
}

/** A packet's body: its arguments with one NUL between each two. A last argument that is empty leaves the NUL. */
export function joinArguments(args: readonly (string | Buffer)[]): Buffer {
  const parts: Buffer[] = [];
  args.forEach((arg, at) => {
    if (at > 0) parts.push(Buffer.from([0]));
    parts.push(typeof arg === "string" ? Buffer.from(arg, "latin1") : arg);
  });
  return Buffer.concat(parts);
}

/** Takes one whole packet or text line from the front of `bytes`. */
export function take(bytes: Buffer): { received: Received; used: number } | undefined {
  if (bytes.length === 0) return undefined;
  if (bytes[0] !== 0) {
    const end = bytes.indexOf(10);
    if (end < 0) return undefined;
    return { received: { kind: "text", text: bytes.toString("latin1", 0, end + 1) }, used: end + 1 };
  }
  if (bytes.length < headerBytes) return undefined;
  const used = headerBytes + bytes.readUInt32BE(8);
  if (bytes.length < used) return undefined;
  const magic = bytes.toString("latin1", 1, 4);
  const type = typeName(bytes.readUInt32BE(4));
  const body = Buffer.from(bytes.subarray(headerBytes, used));
  return { received: { kind: "packet", type: magic === "RES" ? type : `${magic} ${type}`, body }, used };
}
