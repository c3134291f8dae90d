import { Cron } from "croner";
import type { InnerTriggers } from "../core/index.ts";
import type { FileCheck } from "./check.ts";
import type { ConfigItem } from "./items.ts";
import { CONFIG_LIMITS } from "./limits.ts";
import type { TimerTrigger } from "./model.ts";
import { innerTriggerSchema, timerSchema } from "./schema.ts";

/* Triggers that are no forge's: the clock, and what happens in the gate itself. */

type Drivers = Readonly<Record<string, unknown>> | null | undefined;

/** Of all timers: in one zone, and on a day that is both of the month and of the week which are asked for, as Zuul has it. */
export const CRON_OPTIONS = { timezone: "UTC", domAndDow: true } as const;

export function timersOf(check: FileCheck, item: ConfigItem, drivers: Drivers): readonly TimerTrigger[] {
  if (drivers?.timer == null) return [];
  const path = ["trigger", "timer"];
  const timers: TimerTrigger[] = [];
  const written = check.shape(item, path, drivers.timer, timerSchema) ?? [];
  if (written.length > CONFIG_LIMITS.maxTimers) {
    check.add(item, path, `trigger.timer: a pipeline has at most ${CONFIG_LIMITS.maxTimers} timers`);
    return [];
  }
  for (const [at, one] of written.entries()) {
    const parsed = timeOf(one.time);
    if (typeof parsed === "string") check.add(item, [...path, at, "time"], `trigger.timer: ${parsed}`);
    else timers.push({ ...parsed, dereference: one.dereference ?? false });
  }
  return timers;
}

/** @returns a problem, in a sentence, when it cannot be read */
function timeOf(time: string): Pick<TimerTrigger, "cron" | "jitterSec"> | string {
  const parts = time.trim().split(/\s+/);
  const [minute, hour, day, month, weekday, second = "0", jitter = "0"] = parts;
  if (parts.length < 5 || parts.length > 7)
    return `${JSON.stringify(time)} has ${parts.length} parts; a time has five, or with seconds six, or with a jitter seven`;
  if (!parts.slice(0, 6).every((part) => /^(?:[0-9*,/-]|[a-z]{3})+$/i.test(part)))
    return `${JSON.stringify(time)} has more than numbers, names, and * , / -`;
  const jitterSec = Number(jitter);
  if (!/^\d+$/.test(jitter) || jitterSec > CONFIG_LIMITS.maxJitterSec)
    return `the jitter ${jitter} is no whole number of seconds up to ${CONFIG_LIMITS.maxJitterSec}`;
  const cron = [second, minute, hour, day, month, weekdaysOf(weekday!)].join(" ");
  try {
    if (new Cron(cron, { ...CRON_OPTIONS, paused: true }).nextRun() === null)
      return `${JSON.stringify(time)} is no time to come`;
  } catch (error) {
    return `${JSON.stringify(time)}: ${(error as Error).message.replace(/^CronPattern: /, "")}`;
  }
  return { cron, jitterSec };
}

/** Zuul counts days of the week from 0, which is Monday; croner from 1, and has 7 for Sunday. */
function weekdaysOf(field: string): string {
  const parts = field.split(",").map((part) => {
    const [days, step] = part.split("/");
    const shifted =
      days === "*" && step !== undefined ? "1-7" : days!.replace(/\d+/g, (day) => String(Number(day) + 1));
    return step === undefined ? shifted : `${shifted}/${step}`;
  });
  return parts.join(",");
}

export function innerTriggersOf(check: FileCheck, item: ConfigItem, drivers: Drivers): InnerTriggers {
  let parentEnqueued: InnerTriggers["parentEnqueued"] = null;
  let projectMerged = false;
  if (drivers?.zuul == null) return { parentEnqueued, projectMerged };
  const path = ["trigger", "zuul"];
  for (const [at, one] of (check.shape(item, path, drivers.zuul, innerTriggerSchema) ?? []).entries()) {
    const isOfParent = one.event.includes("parent-change-enqueued");
    if (isOfParent) {
      const known = parentEnqueued as InnerTriggers["parentEnqueued"];
      const isOfAny = one.pipeline === undefined || known?.length === 0;
      parentEnqueued = isOfAny ? [] : [...(known ?? []), ...(one.pipeline ?? [])];
    } else if (one.pipeline !== undefined) {
      check.add(
        item,
        [...path, at],
        "trigger.zuul: pipeline is looked at for the event parent-change-enqueued only",
      );
    }
    projectMerged ||= one.event.includes("project-change-merged");
  }
  return { parentEnqueued, projectMerged };
}
