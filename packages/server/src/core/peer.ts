import { PacketStream, type PagePool, type StreamLimits } from "@drover/protocol";
import type { AbilitySet } from "./abilities.ts";
import type { JobFunction, Overrun } from "./function.ts";
import type { HeldReplies } from "./held-replies.ts";
import { type Account, ANYONE, type Identity } from "./identity.ts";
import type { Run, Submission } from "./job.ts";
import { Outbox } from "./outbox.ts";
import type { AssignForm } from "./replies.ts";

/** Where a connection stands in the worker's cycle of grab, pre-sleep and noop. */
export const WorkerState = {
  /** Grabs by itself. */
  AWAKE: 0,
  /** Sent `PRE_SLEEP`; in the list of sleepers. */
  ASLEEP: 1,
  /** Got a `NOOP` and has not grabbed since. */
  WOKEN: 2,
} as const;
export type WorkerState = (typeof WorkerState)[keyof typeof WorkerState];

/** Limits that change when the peer shows who it is. */
interface StreamLimitsOfPeer extends StreamLimits {
  maxBodyBytes: number;
}

/** Why a connection is closed, as far as its peer may know. */
export type EndKind = "done" | "malformed" | "unauthenticated" | "forbidden" | "limited";

/** One connection, which may be client, worker and administrator at once. */
export class Peer {
  /** Number of the connection on this server, ascending. */
  readonly id: number;
  /** The other end as a person would name it: an IP address, or `unix`. */
  readonly address: string;
  /** What the shell keeps for it; the core never looks. */
  readonly owner: unknown;
  readonly out: Outbox;
  /** Replies that wait for the store; null when none do. */
  held: HeldReplies | null = null;
  /** How often replies began to wait. */
  heldSerial = 0;
  readonly stream: PacketStream;
  /** Those of `stream`, which reads them anew for each message. */
  readonly streamLimits: StreamLimitsOfPeer;
  identity: Identity = ANYONE;
  /** The identity's account, here once more since each submission asks for it; null without limits. */
  account: Account | null = null;
  /** Set when it is to be closed once its outbox has been sent: why. Nothing it sends is looked at any more. */
  closing: string | null = null;
  /** What it is told, where its transport can. */
  endKind: EndKind = "done";
  /** It does not read: closing does not wait for what is unsent. */
  abrupt = false;
  /** Gone: nothing may be sent. */
  gone = false;
  /** In the list of connections with something to send or to close. */
  dirty = false;
  /** Bytes taken from the outbox that the transport has not got rid of. The shell keeps it true. */
  unsentBytes = 0;
  /** Its own requests wait until it has read what it was sent. */
  stalled = false;
  /** Chunks that came while stalled. */
  waitingChunks: Uint8Array[] | null = null;

  clientId = "-";
  /** Asked for `WORK_EXCEPTION` packets. */
  wantsExceptions = false;
  /** A request over HTTP: `WORK_FAIL` may say why. */
  wantsReasons = false;
  /** Negotiated drover.1. */
  speaksDrover = false;
  /** The server of a fleet that it is, once it has said so (`drover.peer`); empty for others. */
  fleetName = "";
  /** No connection, but what stands for another server of the fleet as the worker of forwarded jobs. */
  isRelay = false;
  /** Has submitted with a `traceparent`: it is told where runs stand in traces. */
  traces = false;

  submissions: Submission | null = null;
  submissionCount = 0;
  /** Submissions of it that still owe a status. */
  owing: Submission[] | null = null;

  workerState: WorkerState = WorkerState.AWAKE;
  /** A grab that found nothing so far in this turn, and is answered at its end. */
  pendingGrab: AssignForm | null = null;
  abilities: AbilitySet | null = null;
  /** Timeouts of `CAN_DO_TIMEOUT` in milliseconds, for the functions that have one. */
  timeouts: Map<JobFunction, number> | null = null;
  runs: Run | null = null;
  runCount = 0;
  /** Runs that ended here for the server but not for the worker, by job number. */
  overruns: Map<number, Overrun> | null = null;
  /** Job that it just ended by `WORK_EXCEPTION`: a `WORK_FAIL` that follows is its other half. -1 = none. */
  lastException = -1;
  /** Function it was woken for. */
  wokenFor: JobFunction | null = null;
  /** When its wake-up stops counting. */
  wakeEndsMs = 0;
  /** When it went to sleep, in order. */
  sleepOrder = 0;
  previousSleeper: Peer | null = null;
  nextSleeper: Peer | null = null;
  /** The function it submitted to last: most clients use one, and comparing its bytes beats a look-up. */
  lastFunction: JobFunction | null = null;

  constructor(id: number, address: string, owner: unknown, limits: StreamLimitsOfPeer, pool: PagePool) {
    this.id = id;
    this.address = address;
    this.owner = owner;
    this.streamLimits = limits;
    this.stream = new PacketStream(limits, pool);
    this.out = new Outbox(pool);
  }

  /** Bytes that were to reach the peer and have not. */
  get backlogBytes(): number {
    return this.out.bytes + this.unsentBytes + (this.held === null ? 0 : this.held.bytes);
  }
}
