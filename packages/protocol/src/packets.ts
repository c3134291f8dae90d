/**
 * The Gearman binary protocol as data: every packet's number, name, senders and arguments.
 * Codec, sessions, server and docs/PROTOCOL.md are checked against this one table.
 */

/** Who may send a packet: a client, a worker, or the server. */
export type Sender = "client" | "worker" | "server";

export interface PacketDefinition {
  readonly type: number;
  readonly name: PacketName;
  /** Empty for the numbers that the protocol never used. */
  readonly senders: readonly Sender[];
  /** Arguments in order. Each but the last ends with one NUL; the last too when `data` is set. */
  readonly args: readonly string[];
  /** Name of the opaque field that runs to the end of the body and may hold any bytes. */
  readonly data?: string;
  /** Packet that answers a well-formed request of this type. */
  readonly reply?: PacketName;
  /** Not Gearman's: understood only after `OPTION_REQ drover.1`. */
  readonly extension?: true;
}

/** Numbers of all packets, by name. */
export const PacketType = {
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
  SUBMIT_JOB_EXT: 1001,
  JOB_ASSIGN_EXT: 1002,
  JOB_RESTARTED: 1003,
  CANCEL: 1004,
  DETACH: 1005,
  GET_OUTCOME: 1006,
  OUTCOME_RES: 1007,
  ATTACH: 1008,
  WORK_TRACE: 1009,
  JOB_TRACE: 1010,
} as const;

export type PacketName = keyof typeof PacketType;

const client: readonly Sender[] = ["client"];
const worker: readonly Sender[] = ["worker"];
const server: readonly Sender[] = ["server"];
const workerThenServer: readonly Sender[] = ["worker", "server"];
const anyPeer: readonly Sender[] = ["client", "worker"];
const submit = ["function", "unique"] as const;
const reduce = ["function", "unique", "reducer", "aggregator"] as const;
const sched = ["function", "unique", "minute", "hour", "dayOfMonth", "month", "dayOfWeek"] as const;

function row(
  name: PacketName,
  senders: readonly Sender[],
  args: readonly string[] = [],
  rest: Pick<PacketDefinition, "data" | "reply" | "extension"> = {},
): PacketDefinition {
  return { type: PacketType[name], name, senders, args, ...rest };
}

/** The packet table. @see docs/PROTOCOL.md#packets */
export const PACKETS: readonly PacketDefinition[] = [
  row("CAN_DO", worker, ["function"]),
  row("CANT_DO", worker, ["function"]),
  row("RESET_ABILITIES", worker),
  row("PRE_SLEEP", worker),
  row("UNUSED", []),
  row("NOOP", server),
  row("SUBMIT_JOB", client, submit, { data: "workload", reply: "JOB_CREATED" }),
  row("JOB_CREATED", server, ["handle"]),
  row("GRAB_JOB", worker, [], { reply: "JOB_ASSIGN" }),
  row("NO_JOB", server),
  row("JOB_ASSIGN", server, ["handle", "function"], { data: "workload" }),
  row("WORK_STATUS", workerThenServer, ["handle", "numerator", "denominator"]),
  row("WORK_COMPLETE", workerThenServer, ["handle"], { data: "result" }),
  row("WORK_FAIL", workerThenServer, ["handle"]),
  row("GET_STATUS", client, ["handle"], { reply: "STATUS_RES" }),
  row("ECHO_REQ", anyPeer, [], { data: "payload", reply: "ECHO_RES" }),
  row("ECHO_RES", server, [], { data: "payload" }),
  row("SUBMIT_JOB_BG", client, submit, { data: "workload", reply: "JOB_CREATED" }),
  row("ERROR", server, ["code", "text"]),
  row("STATUS_RES", server, ["handle", "known", "running", "numerator", "denominator"]),
  row("SUBMIT_JOB_HIGH", client, submit, { data: "workload", reply: "JOB_CREATED" }),
  row("SET_CLIENT_ID", worker, ["id"]),
  row("CAN_DO_TIMEOUT", worker, ["function", "timeout"]),
  row("ALL_YOURS", worker),
  row("WORK_EXCEPTION", workerThenServer, ["handle"], { data: "exception" }),
  row("OPTION_REQ", anyPeer, ["option"], { reply: "OPTION_RES" }),
  row("OPTION_RES", server, ["option"]),
  row("WORK_DATA", workerThenServer, ["handle"], { data: "data" }),
  row("WORK_WARNING", workerThenServer, ["handle"], { data: "warning" }),
  row("GRAB_JOB_UNIQ", worker, [], { reply: "JOB_ASSIGN_UNIQ" }),
  row("JOB_ASSIGN_UNIQ", server, ["handle", "function", "unique"], { data: "workload" }),
  row("SUBMIT_JOB_HIGH_BG", client, submit, { data: "workload", reply: "JOB_CREATED" }),
  row("SUBMIT_JOB_LOW", client, submit, { data: "workload", reply: "JOB_CREATED" }),
  row("SUBMIT_JOB_LOW_BG", client, submit, { data: "workload", reply: "JOB_CREATED" }),
  row("SUBMIT_JOB_SCHED", client, sched, { data: "workload", reply: "JOB_CREATED" }),
  row("SUBMIT_JOB_EPOCH", client, [...submit, "epoch"], { data: "workload", reply: "JOB_CREATED" }),
  row("SUBMIT_REDUCE_JOB", client, reduce, { data: "workload", reply: "JOB_CREATED" }),
  row("SUBMIT_REDUCE_JOB_BACKGROUND", client, reduce, { data: "workload", reply: "JOB_CREATED" }),
  row("GRAB_JOB_ALL", worker, [], { reply: "JOB_ASSIGN_ALL" }),
  row("JOB_ASSIGN_ALL", server, ["handle", "function", "unique", "reducer"], { data: "workload" }),
  row("GET_STATUS_UNIQUE", client, ["unique"], { reply: "STATUS_RES_UNIQUE" }),
  row("STATUS_RES_UNIQUE", server, ["unique", "known", "running", "numerator", "denominator", "waiting"]),
  row("SUBMIT_JOB_EXT", client, ["function", "unique", "options"], {
    data: "workload",
    reply: "JOB_CREATED",
    extension: true,
  }),
  row("JOB_ASSIGN_EXT", server, ["handle", "function", "unique", "options"], {
    data: "workload",
    extension: true,
  }),
  row("JOB_RESTARTED", server, ["handle", "attempt"], { extension: true }),
  row("CANCEL", server, ["handle"], { extension: true }),
  row("DETACH", client, ["handle"], { extension: true }),
  row("GET_OUTCOME", client, ["function", "unique"], { reply: "OUTCOME_RES", extension: true }),
  row(
    "OUTCOME_RES",
    server,
    ["function", "unique", "handle", "state", "numerator", "denominator", "waiting", "endedMs"],
    {
      extension: true,
    },
  ),
  row("ATTACH", client, ["handle"], { reply: "JOB_CREATED", extension: true }),
  row("WORK_TRACE", worker, ["handle", "traceparent"], { extension: true }),
  row("JOB_TRACE", server, ["handle", "first", "run"], { extension: true }),
];

const byType = new Map(PACKETS.map((definition) => [definition.type, definition]));

/** The definition of a packet number, or `undefined` for a number that no peer may use. */
export function packetDefinition(type: number): PacketDefinition | undefined {
  return byType.get(type);
}

/** Name of a packet number for messages: `SUBMIT_JOB`, or `type 77` when it has none. */
export function packetName(type: number): string {
  return byType.get(type)?.name ?? `type ${type}`;
}
