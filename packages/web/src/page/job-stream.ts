import { useEffect, useState } from "preact/hooks";
import { session, stream } from "./session.ts";

/** What a job reported. */
export interface Report {
  readonly number: number;
  readonly name: string;
  readonly text: string;
}

export interface JobStream {
  readonly reports: readonly Report[];
  /** Reports that are not shown any more. */
  readonly left: number;
  readonly progress: { readonly numerator: number; readonly denominator: number } | null;
  readonly state: "connecting" | "following" | "ended" | "unavailable";
}

const MAX_REPORTS = 500;
const MAX_SHOWN_CHARACTERS = 4000;
const NOTHING: JobStream = { reports: [], left: 0, progress: null, state: "connecting" };
const ENDS: ReadonlySet<string> = new Set(["complete", "fail", "exception"]);
const NAMES = [
  "created",
  "data",
  "warning",
  "status",
  "restarted",
  "complete",
  "fail",
  "exception",
  "detached",
];

interface Members {
  readonly data?: string;
  readonly encoding?: "utf8" | "base64";
  readonly numerator?: number;
  readonly denominator?: number;
  readonly attempt?: number;
  readonly reason?: string;
}

/** Follows what a job reports, from its start on. To the server that is one more submission of it. */
export function useJobStream(handle: string, follows: boolean): JobStream {
  const [shown, setShown] = useState<JobStream>(NOTHING);
  const tokens = session.value;
  useEffect(() => {
    if (!follows) return;
    let now = NOTHING;
    let frame = 0;
    let number = 0;
    // Reports may come much faster than anybody looks.
    const change = (next: Partial<JobStream>): void => {
      now = { ...now, ...next };
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        setShown(now);
      });
    };
    const add = (name: string, text: string): void => {
      const reports = [...now.reports.slice(1 - MAX_REPORTS), { number: number++, name, text }];
      change({ reports, left: number - reports.length });
    };
    const source = stream(`v1/jobs/${encodeURIComponent(handle)}/events`);
    const take = (name: string, members: Members): void => {
      if (name === "created") change({ state: "following" });
      else if (name === "status") {
        const { numerator = 0, denominator = 0 } = members;
        change({ progress: { numerator, denominator } });
      } else if (name === "restarted") {
        change({ progress: null });
        add(name, `attempt ${members.attempt}: reports begin anew`);
      } else if (name === "detached") add(name, members.reason ?? "");
      else add(name, textOf(members));
      if (ENDS.has(name)) {
        source.close();
        change({ state: "ended" });
      }
    };
    for (const name of NAMES)
      source.addEventListener(name, (event) => take(name, JSON.parse(event.data) as Members));
    source.addEventListener("error", () => {
      if (source.readyState === source.CLOSED && now.state !== "ended") change({ state: "unavailable" });
    });
    return () => {
      source.close();
      cancelAnimationFrame(frame);
      setShown(NOTHING);
    };
  }, [handle, follows, tokens]);
  return shown;
}

function textOf({ data = "", encoding }: Members): string {
  const text = data.length > MAX_SHOWN_CHARACTERS ? `${data.slice(0, MAX_SHOWN_CHARACTERS)} …` : data;
  return encoding === "base64" ? `base64: ${text}` : text;
}
