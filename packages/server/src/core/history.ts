import type { Job, Run } from "./job.ts";
import { encodeStatus } from "./replies.ts";
import type { ServerState } from "./state.ts";

/* What a run has reported, kept for those who come later: while it runs, and after its end where results linger. */

/** Bytes of reports that the job may keep for late joiners. */
export function replayLimit(state: ServerState, job: Job): number {
  return job.fn.settings.replayLimitBytes ?? state.limits.replayLimitBytes;
}

/** Keeps a report, encoded, for those who join later. */
export function remember(state: ServerState, run: Run, packet: Uint8Array): void {
  const bytes = packet.length;
  if (
    run.historyBytes + bytes > replayLimit(state, run.job) ||
    state.replayBytes + bytes > state.limits.replayTotalBytes
  ) {
    outgrow(state, run);
    return;
  }
  run.history ??= [];
  run.history.push(packet);
  run.historyBytes += bytes;
  state.replayBytes += bytes;
}

/** Gives up the history of a run: whoever comes later cannot be told all of it. */
export function outgrow(state: ServerState, run: Run): void {
  state.replayBytes -= run.historyBytes;
  run.historyBytes = 0;
  run.history = null;
  run.outgrown = true;
}

/** Lets the result of a run answer its unique for a while. */
export function linger(state: ServerState, run: Run, complete: Uint8Array, lingerMs: number): void {
  if (run.outgrown && !run.job.fn.settings.lingerWithoutReports) return;
  const packets = [...(run.history ?? [])];
  if (run.numerator !== null) packets.push(encodeStatus(state, run.job));
  packets.push(complete);
  state.lingering.add({
    fn: run.job.fn,
    key: run.job.key,
    number: run.job.number,
    packets,
    bytes: packets.reduce((sum, packet) => sum + packet.length, 0),
    endsMs: state.nowMs + lingerMs,
  });
}
