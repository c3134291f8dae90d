import { byteString, indexOfNul, PacketType } from "@drover/protocol";

/** Who is told what a job reports, decoded from packets. Bytes are lent until the call returns. */
export interface ReportHandlers {
  /** The submission has its job. */
  created(handle: string): void;
  data(bytes: Uint8Array): void;
  warning(bytes: Uint8Array): void;
  status(numerator: string, denominator: string): void;
  restarted(attempt: string): void;
  /** Where the run under way stands in traces. */
  traced?(traceparent: string): void;
  complete(result: Uint8Array): void;
  /** @param reason A `FailReason` where the server gave the job up, else empty or what a worker put there. */
  fail(reason: string): void;
  exception(bytes: Uint8Array): void;
  refused(code: string, text: string): void;
}

/** Tells one packet to a peer that has one submission. */
export function tellReport(
  to: ReportHandlers,
  type: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  const nul = indexOfNul(bytes, start, end);
  // Behind the handle, which is known.
  const rest = nul < 0 ? end : nul + 1;
  switch (type) {
    case PacketType.JOB_CREATED:
      to.created(byteString(bytes, start, end));
      return;
    case PacketType.WORK_DATA:
      to.data(bytes.subarray(rest, end));
      return;
    case PacketType.WORK_WARNING:
      to.warning(bytes.subarray(rest, end));
      return;
    case PacketType.WORK_STATUS: {
      const second = indexOfNul(bytes, rest, end);
      const numerator = byteString(bytes, rest, second < 0 ? end : second);
      to.status(numerator, second < 0 ? "0" : byteString(bytes, second + 1, end).replace(/\0.*/s, ""));
      return;
    }
    case PacketType.JOB_RESTARTED:
      to.restarted(byteString(bytes, rest, end));
      return;
    case PacketType.WORK_COMPLETE:
      to.complete(bytes.subarray(rest, end));
      return;
    case PacketType.WORK_FAIL:
      to.fail(byteString(bytes, rest, end));
      return;
    case PacketType.WORK_EXCEPTION:
      to.exception(bytes.subarray(rest, end));
      return;
    case PacketType.ERROR:
      to.refused(byteString(bytes, start, nul < 0 ? end : nul), byteString(bytes, rest, end));
      return;
    default:
    // Answers to options.
  }
}
