import { byteStringOfText } from "@drover/protocol";
import { Cron } from "croner";
import type { Fired, Priority, Unattended } from "./core/index.ts";
import type { Log } from "./note-log.ts";

/** A background job that is submitted again and again. */
export interface Schedule {
  /** Under which its last time is remembered. */
  readonly name: string;
  /** Five fields, or six with seconds first, as cron has them. */
  readonly cron: string;
  /** IANA name of the zone in which `cron` is meant. Default: UTC. */
  readonly timeZone?: string | undefined;
  readonly function: string;
  /** Joins occurrences to one that still runs; empty = never. Default: the schedule's name. */
  readonly unique?: string | undefined;
  readonly workload?: string | undefined;
  readonly priority?: Priority | undefined;
  /** What becomes of times that passed while no server ran: nothing, or one job for all of them. Default: `skip`. */
  readonly missed?: "skip" | "once" | undefined;
}

/** A schedule with its next time, `Infinity` when there is none, and its last one, 0 when there was none. */
export interface ScheduleTimes {
  readonly schedule: Schedule;
  readonly nextMs: number;
  readonly lastMs: number;
}

/** Times are looked at as often as this at least, since the clock may be set. */
const LOOK_MS = 30_000;

/** What is wrong with a cron expression or a time zone, or null. */
export function scheduleProblem(cron: string, timeZone = "UTC"): string | null {
  try {
    const parsed = new Cron(cron, { timezone: timeZone, paused: true });
    return parsed.nextRun() === null ? "there is no such time to come" : null;
  } catch (error) {
    return (error as Error).message.replace(/^CronPattern: /, "");
  }
}

interface Running {
  readonly schedule: Schedule;
  readonly times: Cron;
  /** Times up to this one are dealt with, on the wall clock. */
  doneMs: number;
}

/** Submits the jobs of schedules when it is time. */
export class Schedules {
  readonly #log: Log;
  readonly #fire: (fired: Fired, wanted: Unattended) => boolean;
  /** Last times by schedule, from the store. */
  readonly #fired: Map<string, number>;
  #running: Running[] = [];
  #timer: NodeJS.Timeout | undefined;

  /** @param fire Submits a job. Returns false when the queue is full. */
  constructor(fired: readonly Fired[], log: Log, fire: (fired: Fired, wanted: Unattended) => boolean) {
    this.#fired = new Map(fired.map(({ schedule, atMs }) => [schedule, atMs]));
    this.#log = log;
    this.#fire = fire;
  }

  /** Takes these schedules in the place of those before. */
  set(schedules: readonly Schedule[]): void {
    const nowMs = Date.now();
    this.#running = schedules.map((schedule) => {
      const { cron, timeZone = "UTC", missed = "skip" } = schedule;
      const before = this.#fired.get(schedule.name);
      // A time that a server with another clock dealt with is not dealt with again.
      const doneMs = before === undefined ? nowMs : missed === "once" ? before : Math.max(before, nowMs);
      return { schedule, times: new Cron(cron, { timezone: timeZone, paused: true }), doneMs };
    });
    this.#look();
  }

  /** All of them, with their times. */
  list(): ScheduleTimes[] {
    return this.#running.map((running) => ({
      schedule: running.schedule,
      nextMs: nextOf(running),
      lastMs: this.#fired.get(running.schedule.name) ?? 0,
    }));
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#running = [];
  }

  #look(): void {
    clearTimeout(this.#timer);
    const nowMs = Date.now();
    let waitMs = LOOK_MS;
    for (const running of this.#running) {
      const dueMs = nextOf(running);
      if (dueMs <= nowMs) {
        this.#submit(running, dueMs);
        running.doneMs = nowMs;
      }
      waitMs = Math.min(waitMs, Math.max(1, nextOf(running) - nowMs));
    }
    if (this.#running.length === 0) return;
    this.#timer = setTimeout(() => this.#look(), waitMs);
    this.#timer.unref();
  }

  #submit({ schedule }: Running, atMs: number): void {
    const { name, function: fn, unique = name, workload = "", priority = 1 } = schedule;
    this.#fired.set(name, atMs);
    const taken = this.#fire(
      { schedule: name, atMs },
      {
        fn: byteStringOfText(fn),
        key: byteStringOfText(unique),
        workload: new TextEncoder().encode(workload),
        priority,
        reducer: "",
      },
    );
    if (taken)
      this.#log.debug({ schedule: name, at: new Date(atMs).toISOString() }, "a schedule's time has come");
    else
      this.#log.error(
        { code: "SCHEDULE_REFUSED", schedule: name },
        "a scheduled job found no room in the queue",
      );
  }
}

function nextOf({ times, doneMs }: Running): number {
  return times.nextRun(new Date(doneMs))?.getTime() ?? Number.POSITIVE_INFINITY;
}
