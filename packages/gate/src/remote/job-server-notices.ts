import type { Log } from "@drover/server";
import type { WorkerOptions } from "@drover/worker";

/**
 * Logs what a worker of the gate hears of its job servers, each loss once, in a line without a stack.
 * @param onConnected Whether one of them is there, each time that this may have changed.
 */
export function jobServerNotices(
  log: Log,
  onConnected: (isConnected: boolean) => void,
): NonNullable<WorkerOptions["onNotice"]> {
  const lost = new Set<string>();
  return (notice) => {
    if (notice.type === "connected") {
      lost.delete(notice.server);
      onConnected(true);
    } else if (notice.type === "disconnected" || notice.type === "unreachable") {
      onConnected(false);
      if (lost.has(notice.server)) return;
      lost.add(notice.server);
      log.warn(
        { server: notice.server, why: notice.error?.message },
        "the job server is not there; trying again",
      );
    } else if (notice.type === "server error")
      log.error({ server: notice.server, code: notice.code, detail: notice.text }, "the job server refused");
  };
}
