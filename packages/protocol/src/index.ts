export {
  ClientSession,
  type JobOutcome,
  type JobStatus,
  type JobTrace,
  NOBODY,
  type Priority,
  type SubmitRequest,
  type Submitter,
} from "./client-session.ts";
export { ProtocolError, type ProtocolErrorCode, type WireErrorCode } from "./errors.ts";
export { decodeOptions, encodeOptions } from "./options.ts";
export {
  decodeBody,
  encodePacket,
  HEADER_BYTES,
  type Magic,
  type Packet,
  REQ,
  RES,
  readUint32,
  writeHeader,
  writeUint32,
} from "./packet.ts";
export {
  PACKETS,
  type PacketDefinition,
  type PacketName,
  PacketType,
  packetDefinition,
  packetName,
  type Sender,
} from "./packets.ts";
export { MIDDLE_PAGE_BYTES, PAGE_BYTES, PagePool, SharedPages, SMALL_PAGE_BYTES } from "./pages.ts";
export { type ByteSink, type PendingReply, ReplyQueue, type WireError } from "./replies.ts";
export type { Asker, Session } from "./session.ts";
export { Found, PacketStream, type StreamLimits } from "./stream.ts";
export {
  byteString,
  byteStringOfText,
  bytesOf,
  copyBytes,
  indexOfNul,
  printable,
  textOfByteString,
  writeByteString,
} from "./text.ts";
export { isTraceparent, isTracestate } from "./traceparent.ts";
export {
  type AssignedJob,
  fixedSlots,
  type Grab,
  type Slots,
  type WorkerHandlers,
  WorkerSession,
} from "./worker-session.ts";
