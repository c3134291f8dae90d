import type { StatusView } from "@drover/gate/api";
import { useEffect, useState } from "preact/hooks";
import { type Loaded, useLoaded } from "../loaded.ts";
import { followed, session } from "../session.ts";
import { gateConnection } from "./presence.ts";

/** Of the time, how much more than its parsing lies between one status and the next: a thousand items are some megabytes. */
const PAUSE_FACTOR = 4;

/** The status of the gate as it is told, the newest alone where they come faster than they can be drawn. */
export function useStatus(): Loaded<StatusView> {
  const first = useLoaded<StatusView>("api/gate/status", 0);
  const [told, setTold] = useState<StatusView>();
  const tokens = session.value;
  useEffect(() => {
    let newest = "";
    let timer: ReturnType<typeof setTimeout> | undefined;
    let pauseMs = 0;
    const show = (): void => {
      timer = undefined;
      const begunMs = performance.now();
      setTold(JSON.parse(newest) as StatusView);
      pauseMs = (performance.now() - begunMs) * PAUSE_FACTOR;
    };
    gateConnection.value = "connecting";
    const stop = followed(
      () => "api/gate/events",
      {
        status(data) {
          newest = data;
          timer ??= setTimeout(show, pauseMs);
        },
      },
      (state) => {
        gateConnection.value = state;
      },
    );
    return () => {
      stop();
      clearTimeout(timer);
      gateConnection.value = null;
    };
  }, [tokens]);
  const isNewer = told !== undefined && told.atMs >= (first.value?.atMs ?? 0);
  return isNewer ? { value: told, refusal: undefined, again: first.again } : first;
}
