import { describe, expect, it } from "vitest";
import { bytesOf, fixedSlots, ProtocolError, WorkerSession } from "../src/index.ts";
import { fromServer, TellingSink, TellingWorker } from "./recorders.ts";

function worker(slots = 1, start: Parameters<WorkerSession["start"]>[0] = {}, functions = ["f"]) {
  const sink = new TellingSink();
  const told = new TellingWorker();
  const session = new WorkerSession(sink, told, fixedSlots(slots));
  for (const name of functions) session.canDo(name);
  session.start(start);
  sink.take();
  return { sink, told, session };
}

const assign = (handle: string, name = "f", unique = "") =>
  fromServer("JOB_ASSIGN_UNIQ", [handle, name, unique], "w");

describe("WorkerSession", () => {
  it("registers, grabs, and goes to sleep when there is nothing", () => {
    const sink = new TellingSink();
    const session = new WorkerSession(sink, new TellingWorker(), fixedSlots(1));
    session.setClientId("me");
    session.canDo("f");
    session.canDo("g", 30_000);
    session.canDo("f");
    expect(sink.take()).toEqual(["SET_CLIENT_ID me", "CAN_DO f", "CAN_DO_TIMEOUT g 30000"]);
    session.start();
    expect(sink.take()).toEqual(["GRAB_JOB_UNIQ"]);
    session.receive(fromServer("NO_JOB"));
    expect(sink.take()).toEqual(["PRE_SLEEP"]);
    expect(session.state).toBe("asleep");
    session.receive(fromServer("NOOP"));
    expect(sink.take()).toEqual(["GRAB_JOB_UNIQ"]);
  });

  it.each([
    [{ grab: "plain" }, "GRAB_JOB"],
    [{ grab: "all" }, "GRAB_JOB_ALL"],
    [{ extended: true }, "GRAB_JOB_ALL"],
    [{ extended: true, grab: "unique" }, "GRAB_JOB_UNIQ"],
  ] as const)("grabs as %j says", (start, expected) => {
    const sink = new TellingSink();
    const session = new WorkerSession(sink, new TellingWorker(), fixedSlots(1));
    session.canDo("f");
    session.start(start);
    expect(sink.sent).toEqual(["CAN_DO f", expected]);
  });

  it("grabs nothing before it starts, without functions, or without slots", () => {
    const sink = new TellingSink();
    const slots = fixedSlots(0);
    const session = new WorkerSession(sink, new TellingWorker(), slots);
    session.start();
    session.receive(fromServer("NOOP"));
    session.canDo("f");
    expect(sink.take()).toEqual(["CAN_DO f"]);
    slots.give();
    session.slotFreed();
    expect(sink.take()).toEqual(["GRAB_JOB_UNIQ"]);
  });

  it("shares slots with another connection: a grab takes one until it finds nothing or its job ends", () => {
    const slots = fixedSlots(1);
    const [one, two] = ["one", "two"].map(() => {
      const sink = new TellingSink();
      const told = new TellingWorker();
      const session = new WorkerSession(sink, told, slots);
      session.canDo("f");
      return { sink, told, session };
    }) as [ReturnType<typeof worker>, ReturnType<typeof worker>];
    one.session.start();
    two.session.start();
    expect([one.sink.take(), two.sink.take()]).toEqual([["CAN_DO f", "GRAB_JOB_UNIQ"], ["CAN_DO f"]]);
    one.session.receive(fromServer("NO_JOB"));
    two.session.slotFreed();
    expect(two.sink.take()).toEqual(["GRAB_JOB_UNIQ"]);
    two.session.receive(assign("H:1"));
    one.session.receive(fromServer("NOOP"));
    expect(one.sink.take()).toEqual(["PRE_SLEEP"]);
    two.session.lost();
    one.session.slotFreed();
    expect(one.sink.take()).toEqual([]);
    two.session.release(two.told.jobs[0]!);
    one.session.slotFreed();
    expect(one.sink.take()).toEqual(["GRAB_JOB_UNIQ"]);
    one.session.lost();
    expect(slots.take()).toBe(true);
  });

  it("grabs one while it does not know of more, and again when a slot becomes free", () => {
    const { sink, told, session } = worker(2);
    session.receive(assign("H:1"));
    expect(sink.take()).toEqual(["GRAB_JOB_UNIQ"]);
    session.receive(assign("H:2", "f", "u"));
    expect(sink.take()).toEqual([]);
    expect(told.told).toEqual(["assigned H:1 f ", "assigned H:2 f u"]);
    session.complete(told.jobs[0]!, bytesOf("r"));
    expect(sink.take()).toEqual(["WORK_COMPLETE H:1 r", "GRAB_JOB_UNIQ"]);
    expect(session.running).toBe(1);
  });

  it("grabs twice as many at a time with each job that comes, within its slots, and one again after NO_JOB", () => {
    const { sink, session } = worker(10);
    const grabs = (packet: Parameters<typeof session.receive>[0]) => {
      session.receive(packet);
      return sink.take().join();
    };
    expect(grabs(assign("H:1"))).toBe("GRAB_JOB_UNIQ,GRAB_JOB_UNIQ");
    // Two outstanding, four allowed less the one that was answered.
    expect(grabs(assign("H:2"))).toBe("GRAB_JOB_UNIQ,GRAB_JOB_UNIQ,GRAB_JOB_UNIQ");
    // Two jobs and four grabs hold six slots; of eight grabs allowed, four more find one.
    expect(grabs(assign("H:3")).split(",")).toHaveLength(4);
    // All ten are taken: three by jobs, seven by grabs.
    for (let i = 0; i < 6; i++) expect(grabs(fromServer("NO_JOB"))).toBe("");
    // The last answer decides: had it been a job, there might be more.
    expect(grabs(fromServer("NO_JOB"))).toBe("PRE_SLEEP");
    expect(grabs(fromServer("NOOP"))).toBe("GRAB_JOB_UNIQ");
    expect(grabs(assign("H:4"))).toBe("GRAB_JOB_UNIQ,GRAB_JOB_UNIQ");
    expect(grabs(fromServer("NO_JOB"))).toBe("");
    expect(grabs(assign("H:5"))).toBe("GRAB_JOB_UNIQ,GRAB_JOB_UNIQ");
  });

  it("stays asleep with jobs in hand when slots are free, without grabbing again", () => {
    const { sink, told, session } = worker(2);
    session.receive(assign("H:1"));
    session.receive(fromServer("NO_JOB"));
    expect(sink.take()).toEqual(["GRAB_JOB_UNIQ", "PRE_SLEEP"]);
    session.complete(told.jobs[0]!, bytesOf("r"));
    expect(sink.take()).toEqual(["WORK_COMPLETE H:1 r"]);
  });

  it("takes a NOOP at any time", () => {
    const { sink, told, session } = worker(1);
    // While a grab is outstanding.
    session.receive(fromServer("NOOP"));
    expect(sink.take()).toEqual([]);
    session.receive(assign("H:1"));
    // While full.
    session.receive(fromServer("NOOP"));
    session.receive(fromServer("NOOP"));
    expect(sink.take()).toEqual([]);
    session.complete(told.jobs[0]!, bytesOf(""));
    expect(sink.take()).toEqual(["WORK_COMPLETE H:1", "GRAB_JOB_UNIQ"]);
    session.receive(fromServer("NO_JOB"));
    // Twice while asleep.
    session.receive(fromServer("NOOP"));
    session.receive(fromServer("NOOP"));
    expect(sink.take()).toEqual(["PRE_SLEEP", "GRAB_JOB_UNIQ"]);
  });

  it("wakes itself for a function that it registers while asleep", () => {
    const { sink, session } = worker(1);
    session.receive(fromServer("NO_JOB"));
    sink.take();
    session.canDo("g");
    expect(sink.take()).toEqual(["CAN_DO g", "GRAB_JOB_UNIQ"]);
  });

  it("reports in the packets for it, and an exception alone", () => {
    const { sink, told, session } = worker(3);
    for (const handle of ["H:1", "H:2", "H:3"]) session.receive(assign(handle));
    const [first, second, third] = told.jobs;
    sink.take();
    session.status(first!, 1, 10);
    session.data(first!, bytesOf("d"));
    session.warning(first!, bytesOf("w"));
    session.fail(first!);
    session.exception(second!, bytesOf("e"));
    session.release(third!);
    expect(sink.take()).toEqual([
      "WORK_STATUS H:1 1 10",
      "WORK_DATA H:1 d",
      "WORK_WARNING H:1 w",
      "WORK_FAIL H:1",
      "GRAB_JOB_UNIQ",
      "WORK_EXCEPTION H:2 e",
      "GRAB_JOB_UNIQ",
      "GRAB_JOB_UNIQ",
    ]);
    expect(session.running).toBe(0);
  });

  it("says nothing about a run that has ended, nor about one whose handle was assigned anew", () => {
    const { sink, told, session } = worker(2);
    session.receive(assign("H:1"));
    session.receive(assign("H:1"));
    const [superseded, current] = told.jobs;
    sink.take();
    expect(session.data(superseded!, bytesOf("old"))).toBe(false);
    expect(session.complete(superseded!, bytesOf("old"))).toBe(false);
    expect(sink.take()).toEqual(["GRAB_JOB_UNIQ"]);
    expect(session.complete(current!, bytesOf("new"))).toBe(true);
    expect(session.complete(current!, bytesOf("again"))).toBe(false);
    expect(sink.take()).toEqual(["WORK_COMPLETE H:1 new", "GRAB_JOB_UNIQ"]);
  });

  it("tells late reports apart from other errors, and neither from answers", () => {
    const { told, session } = worker(1);
    session.receive(assign("H:1"));
    session.fail(told.jobs[0]!);
    session.receive(fromServer("ERROR", ["JOB_NOT_FOUND", "Job given in work result not found"]));
    session.receive(fromServer("ERROR", ["ARGUMENT_TOO_LARGE", "?"]));
    session.receive(fromServer("NO_JOB"));
    expect(told.told.slice(1)).toEqual(["late JOB_NOT_FOUND", "error ARGUMENT_TOO_LARGE"]);
    expect(session.state).toBe("asleep");
  });

  it("asks for options before it starts, also of servers that do not know any", () => {
    const sink = new TellingSink();
    const told: string[] = [];
    const session = new WorkerSession(sink, new TellingWorker(), fixedSlots(1));
    const asker = {
      answer: () => void told.push("answer"),
      refused: () => void told.push("refused"),
      lost: () => void told.push("lost"),
    };
    session.option("drover.1", asker);
    session.receive(fromServer("ERROR", ["UNKNOWN_OPTION", "?"]));
    session.option("drover.1", asker);
    session.receive(fromServer("OPTION_RES", ["drover.1"]));
    session.option("drover.1", asker);
    session.echo(bytesOf("x"), asker);
    session.lost();
    expect(told).toEqual(["refused", "answer", "lost", "lost"]);
  });

  it("reads the reducer and the options of a job", () => {
    const { told, session } = worker(3, { extended: true });
    session.receive(fromServer("JOB_ASSIGN_EXT", ["H:1", "f", "u", "attempt=2&reducer=r%20r"], "w"));
    session.receive(fromServer("JOB_ASSIGN_ALL", ["H:2", "f", "u", "r"], "w"));
    session.receive(fromServer("JOB_ASSIGN", ["H:3", "f"], "w"));
    expect(
      told.jobs.map(({ unique, reducer, options }) => [unique, reducer, options.get("attempt")]),
    ).toEqual([
      ["u", "r r", "2"],
      ["u", "r", undefined],
      ["", "", undefined],
    ]);
  });

  it("hands on a cancel for a job that it runs", () => {
    const { told, session } = worker(2, { extended: true });
    session.receive(assign("H:1"));
    session.receive(fromServer("CANCEL", ["H:1"]));
    session.fail(told.jobs[0]!);
    session.receive(fromServer("CANCEL", ["H:1"]));
    expect(told.told).toEqual(["assigned H:1 f ", "cancel H:1"]);
  });

  it("refuses an assignment that it did not ask for", () => {
    const { session } = worker(1);
    session.receive(assign("H:1"));
    expect(() => session.receive(assign("H:2"))).toThrow(ProtocolError);
    expect(session.receive(fromServer("JOB_CREATED", ["H:1"]))).toBe(false);
  });

  it("reports nothing after the connection was lost, yet counts the runs until they end", () => {
    const { sink, told, session } = worker(1);
    session.receive(assign("H:1"));
    session.lost();
    expect(session.complete(told.jobs[0]!, bytesOf("r"))).toBe(false);
    expect(session.running).toBe(0);
    session.canDo("g");
    expect(sink.sent).toEqual([]);
  });
});

describe("WorkerSession withdraws a function", () => {
  it("only when none of its jobs runs, where the server would requeue them", () => {
    const { sink, told, session } = worker(2, {}, ["f", "g"]);
    session.receive(assign("H:1", "f"));
    session.receive(fromServer("NO_JOB"));
    sink.take();
    session.cantDo("f");
    session.cantDo("g");
    session.cantDo("unheard of");
    expect(sink.take()).toEqual(["CANT_DO g"]);
    session.complete(told.jobs[0]!, bytesOf(""));
    expect(sink.take()).toEqual(["WORK_COMPLETE H:1", "CANT_DO f"]);
  });

  it("only when no grab could bring one of its jobs", () => {
    const { sink, told, session } = worker(1);
    session.cantDo("f");
    expect(sink.take()).toEqual([]);
    session.receive(assign("H:1"));
    session.complete(told.jobs[0]!, bytesOf(""));
    expect(sink.take()).toEqual(["WORK_COMPLETE H:1", "CANT_DO f"]);
  });

  it("at once on a server that leaves running jobs alone", () => {
    const { sink, session } = worker(2, { extended: true });
    session.receive(fromServer("JOB_ASSIGN_EXT", ["H:1", "f", "u", ""], "w"));
    sink.take();
    session.cantDo("f");
    expect(sink.take()).toEqual(["CANT_DO f"]);
  });

  it("not at all when it is registered again in time", () => {
    const { sink, told, session } = worker(1);
    session.receive(assign("H:1"));
    session.cantDo("f");
    session.canDo("f");
    session.complete(told.jobs[0]!, bytesOf(""));
    expect(sink.take()).toEqual(["WORK_COMPLETE H:1", "GRAB_JOB_UNIQ"]);
  });
});

describe("WorkerSession drains", () => {
  it("at once when it sleeps without jobs", () => {
    const { sink, told, session } = worker(1);
    session.receive(fromServer("NO_JOB"));
    sink.take();
    session.drain();
    expect(sink.take()).toEqual(["RESET_ABILITIES"]);
    session.drain();
    expect(told.told).toEqual(["drained"]);
  });

  it("after the job that an outstanding grab brings, withdrawing what does not run", () => {
    const { sink, told, session } = worker(2, {}, ["f", "g"]);
    session.drain();
    expect(told.told).toEqual([]);
    session.receive(assign("H:1"));
    expect(sink.take()).toEqual(["CANT_DO g"]);
    session.receive(fromServer("NOOP"));
    session.complete(told.jobs[0]!, bytesOf(""));
    expect(sink.take()).toEqual(["WORK_COMPLETE H:1", "RESET_ABILITIES"]);
    expect(told.told).toEqual(["assigned H:1 f ", "drained"]);
  });

  it("after the outstanding grab found nothing", () => {
    const { sink, told, session } = worker(1);
    session.drain();
    session.receive(fromServer("NO_JOB"));
    expect(sink.take()).toEqual(["RESET_ABILITIES"]);
    expect(told.told).toEqual(["drained"]);
  });

  it("with its functions withdrawn at once on a server that leaves running jobs alone", () => {
    const { sink, told, session } = worker(2, { extended: true });
    session.receive(fromServer("JOB_ASSIGN_EXT", ["H:1", "f", "u", ""], "w"));
    session.receive(fromServer("NO_JOB"));
    sink.take();
    session.drain();
    expect([sink.take(), told.told.length]).toEqual([["RESET_ABILITIES"], 1]);
    session.fail(told.jobs[0]!);
    expect([sink.take(), told.told.at(-1)]).toEqual([["WORK_FAIL H:1"], "drained"]);
  });
});
