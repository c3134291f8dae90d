import { duration } from "./format.ts";
import { nowMs } from "./live.ts";

/** A time as how long it is ago or ahead; its tooltip tells the date. */
export function Moment({ at }: { readonly at: string }) {
  const ms = Date.parse(at) - nowMs.value;
  const text = Math.abs(ms) < 1000 ? "now" : ms < 0 ? `${duration(ms)} ago` : `in ${duration(ms)}`;
  return (
    <time dateTime={at} title={new Date(at).toLocaleString()}>
      {text}
    </time>
  );
}
