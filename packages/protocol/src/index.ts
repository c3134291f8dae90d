export { ProtocolError, type ProtocolErrorCode, type WireErrorCode } from "./errors.ts";
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
