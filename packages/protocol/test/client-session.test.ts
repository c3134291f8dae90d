import { beforeEach, describe, expect, it } from "vitest";
import {
  byteString,
  bytesOf,
  ClientSession,
  ProtocolError,
  REQ,
  ReplyQueue,
  type WireError,
} from "../src/index.ts";
import { fromServer, TellingSink, TellingSubmitter } from "./recorders.ts";

let sink: TellingSink;
let replies: ReplyQueue;
let session: ClientSession;
beforeEach(() => {
  sink = new TellingSink();
  replies = new ReplyQueue();
  session = new ClientSession(sink, replies);
});

function submit(unique = "", more: { function?: string; background?: boolean } = {}): TellingSubmitter {
  const submitter = new TellingSubmitter();
  session.submit({ function: "f", unique, workload: bytesOf("w"), ...more }, submitter);
  return submitter;
}

/** An asker that writes down what it is told. */
function asker() {
  const told: unknown[] = [];
  return {
    told,
    answer: (value: unknown) => void told.push(value instanceof Uint8Array ? byteString(value) : value),
    refused: (error: WireError) => void told.push(`refused ${error.code}`),
    lost: () => void told.push("lost"),
  };
}

describe("ClientSession submits", () => {
  it.each([
    [{}, "SUBMIT_JOB f u w"],
    [{ priority: "high" }, "SUBMIT_JOB_HIGH f u w"],
    [{ priority: "low" }, "SUBMIT_JOB_LOW f u w"],
    [{ background: true }, "SUBMIT_JOB_BG f u w"],
    [{ background: true, priority: "high" }, "SUBMIT_JOB_HIGH_BG f u w"],
    [{ background: true, priority: "low" }, "SUBMIT_JOB_LOW_BG f u w"],
    [{ epochSeconds: 1_700_000_000 }, "SUBMIT_JOB_EPOCH f u 1700000000 w"],
    [{ reducer: "r" }, "SUBMIT_REDUCE_JOB f u r  w"],
    [{ reducer: "r", background: true }, "SUBMIT_REDUCE_JOB_BACKGROUND f u r  w"],
    [{ options: "at=1", background: true }, "SUBMIT_JOB_EXT f u at=1 w"],
  ] as const)("%j as the packet for it", (more, expected) => {
    session.submit({ function: "f", unique: "u", workload: bytesOf("w"), ...more }, new TellingSubmitter());
    expect(sink.take()).toEqual([expected]);
  });

  it("nothing when a name holds a NUL, and waits for no answer then", () => {
    expect(() => submit("a\0b")).toThrow(ProtocolError);
    expect([sink.sent, replies.length]).toEqual([[], 0]);
  });
});

describe("ClientSession matches answers", () => {
  it("by order alone, whatever kind they are", () => {
    const [status, echo, option, outcome] = [asker(), asker(), asker(), asker()];
    const first = submit();
    session.getStatus("H:9", status);
    const second = submit();
    session.echo(bytesOf("ping"), echo);
    session.option("exceptions", option);
    session.getOutcome("f", "u", outcome);
    expect(replies.length).toBe(6);
    session.receive(fromServer("JOB_CREATED", ["H:1"]));
    session.receive(fromServer("STATUS_RES", ["H:9", "1", "0", "3", "4"]));
    session.receive(fromServer("JOB_CREATED", ["H:2"]));
    session.receive(fromServer("ECHO_RES", [], "ping"));
    session.receive(fromServer("OPTION_RES", ["exceptions"]));
    session.receive(fromServer("OUTCOME_RES", ["f", "u", "H:2", "done", "1", "1", "0", "1700"]));
    expect([first.told, second.told]).toEqual([["created H:1"], ["created H:2"]]);
    expect(status.told).toEqual([{ known: true, running: false, numerator: "3", denominator: "4" }]);
    expect(echo.told).toEqual(["ping"]);
    expect(option.told).toEqual(["exceptions"]);
    expect(outcome.told).toMatchObject([{ handle: "H:2", state: "done", waiting: 0, endedMs: 1700 }]);
    expect(replies.length).toBe(0);
  });

  it("with reports in between, which may overtake answers", () => {
    const first = submit();
    session.receive(fromServer("JOB_CREATED", ["H:1"]));
    const second = submit();
    session.receive(fromServer("WORK_COMPLETE", ["H:1"], "ok"));
    session.receive(fromServer("JOB_CREATED", ["H:2"]));
    expect(first.told).toEqual(["created H:1", "complete ok"]);
    expect(second.told).toEqual(["created H:2"]);
  });

  it("to a status by unique whether the server names the unique or the handle", () => {
    for (const named of ["u", "H:1"]) {
      const status = asker();
      session.getStatusOfUnique("u", status);
      session.receive(fromServer("STATUS_RES_UNIQUE", [named, "1", "1", "0", "0", "2"]));
      expect(status.told).toMatchObject([{ known: true, running: true, waiting: 2 }]);
    }
  });

  it("and gives an ERROR to the request that it refuses", () => {
    const option = asker();
    const refused = submit();
    session.option("drover.1", option);
    const accepted = submit();
    session.receive(fromServer("ERROR", ["QUEUE_ERROR", "Job queue is full"]));
    session.receive(fromServer("ERROR", ["UNKNOWN_OPTION", "Server does not recognize given option"]));
    session.receive(fromServer("JOB_CREATED", ["H:1"]));
    expect(refused.told).toEqual(["refused QUEUE_ERROR"]);
    expect(option.told).toEqual(["refused UNKNOWN_OPTION"]);
    expect(accepted.told).toEqual(["created H:1"]);
  });

  it("and leaves an ERROR that answers nothing to the driver", () => {
    const echo = asker();
    session.echo(bytesOf("ping"), echo);
    expect(session.receive(fromServer("ERROR", ["SERVER_ERROR", "?"]))).toBe(false);
    session.receive(fromServer("ECHO_RES", [], "ping"));
    expect(echo.told).toEqual(["ping"]);
    expect(session.receive(fromServer("ERROR", ["SERVER_ERROR", "?"]))).toBe(false);
  });

  it("and takes an option that the server passes over in silence as refused", () => {
    const option = asker();
    session.option("drover.1", option);
    const submission = submit();
    session.receive(fromServer("JOB_CREATED", ["H:1"]));
    expect(option.told).toEqual(["refused UNKNOWN_OPTION"]);
    expect(submission.told).toEqual(["created H:1"]);
  });

  it.each([
    ["an answer that nobody asked for", () => {}, fromServer("JOB_CREATED", ["H:1"])],
    ["an answer of another kind", () => submit(), fromServer("ECHO_RES", [], "")],
    [
      "an echo of something else",
      () => session.echo(bytesOf("ping"), asker()),
      fromServer("ECHO_RES", [], "pong"),
    ],
    [
      "another handle's status",
      () => session.getStatus("H:1", asker()),
      fromServer("STATUS_RES", ["H:2", "0", "0", "0", "0"]),
    ],
    ["a request's magic", () => {}, { ...fromServer("WORK_FAIL", ["H:1"]), magic: REQ }],
  ] as const)("and refuses %s, since no later answer could be trusted", (_, ask, packet) => {
    ask();
    expect(() => session.receive(packet)).toThrow(
      expect.objectContaining({ code: "UNEXPECTED_PACKET" }) as Error,
    );
  });

  it("but does not take packets for workers", () => {
    expect(session.receive(fromServer("NOOP"))).toBe(false);
    expect(session.receive(fromServer("NO_JOB"))).toBe(false);
  });
});

describe("ClientSession routes reports", () => {
  it("to the submission of the handle, until its end", () => {
    const submission = submit();
    session.receive(fromServer("JOB_CREATED", ["H:1"]));
    session.receive(fromServer("WORK_STATUS", ["H:1", "1", "2"]));
    session.receive(fromServer("WORK_DATA", ["H:1"], "a"));
    session.receive(fromServer("WORK_WARNING", ["H:1"], "b"));
    session.receive(fromServer("WORK_EXCEPTION", ["H:1"], "c"));
    session.receive(fromServer("WORK_FAIL", ["H:1"]));
    expect(submission.told).toEqual(["created H:1", "status 1/2", "data a", "warning b", "exception c"]);
    expect(session.attached).toBe(0);
  });

  it("to nobody when the submission was in the background", () => {
    const submission = submit("", { background: true });
    session.receive(fromServer("JOB_CREATED", ["H:1"]));
    session.receive(fromServer("WORK_COMPLETE", ["H:1"], "ok"));
    expect(submission.told).toEqual(["created H:1"]);
  });

  it("once to each of two submissions that share a handle, though every report comes twice", () => {
    const first = submit("u");
    session.receive(fromServer("JOB_CREATED", ["H:1"]));
    session.receive(fromServer("WORK_DATA", ["H:1"], "early"));
    const second = submit("u");
    session.receive(fromServer("JOB_CREATED", ["H:1"]));
    // The second chunk equals the first one: copies are counted, not compared.
    for (const chunk of ["x", "x", "x", "x", "y", "y"])
      session.receive(fromServer("WORK_DATA", ["H:1"], chunk));
    for (let i = 0; i < 2; i++) session.receive(fromServer("WORK_STATUS", ["H:1", "1", "2"]));
    for (let i = 0; i < 2; i++) session.receive(fromServer("WORK_COMPLETE", ["H:1"], "ok"));
    expect(first.told).toEqual([
      "created H:1",
      "data early",
      "data x",
      "data x",
      "data y",
      "status 1/2",
      "complete ok",
    ]);
    expect(second.told).toEqual(["created H:1", "data x", "data x", "data y", "status 1/2", "complete ok"]);
  });

  it("of the past to the late one of two submissions alone, when the server replays", () => {
    session.replays = true;
    const first = submit("u");
    session.receive(fromServer("JOB_CREATED", ["H:1"]));
    session.receive(fromServer("WORK_DATA", ["H:1"], "x"));
    session.receive(fromServer("WORK_STATUS", ["H:1", "1", "2"]));
    session.receive(fromServer("WORK_WARNING", ["H:1"], "x"));
    const second = submit("u");
    session.receive(fromServer("JOB_CREATED", ["H:1"]));
    session.receive(fromServer("WORK_DATA", ["H:1"], "x"));
    session.receive(fromServer("WORK_WARNING", ["H:1"], "x"));
    session.receive(fromServer("WORK_STATUS", ["H:1", "1", "2"]));
    for (let i = 0; i < 2; i++) session.receive(fromServer("WORK_DATA", ["H:1"], "x"));
    for (let i = 0; i < 2; i++) session.receive(fromServer("WORK_FAIL", ["H:1"]));
    expect(first.told).toEqual(["created H:1", "data x", "status 1/2", "warning x", "data x", "fail"]);
    expect(second.told).toEqual(["created H:1", "status 1/2", "data x", "warning x", "data x", "fail"]);
  });

  it("and tells a restart once to each, after which the copies count anew", () => {
    session.replays = true;
    const both = [submit("u"), submit("u")];
    for (let i = 0; i < 2; i++) session.receive(fromServer("JOB_CREATED", ["H:1"]));
    for (let i = 0; i < 2; i++) session.receive(fromServer("WORK_DATA", ["H:1"], "void"));
    for (let i = 0; i < 2; i++) session.receive(fromServer("JOB_RESTARTED", ["H:1", "2"]));
    const late = submit("u");
    session.receive(fromServer("JOB_CREATED", ["H:1"]));
    for (let i = 0; i < 3; i++) session.receive(fromServer("WORK_DATA", ["H:1"], "anew"));
    for (const submission of both)
      expect(submission.told.slice(1)).toEqual(["data void", "restarted 2", "data anew"]);
    expect(late.told).toEqual(["created H:1", "data anew"]);
  });

  it("to nobody after detach, but again to who submits the unique after it", () => {
    const first = submit("u");
    session.receive(fromServer("JOB_CREATED", ["H:1"]));
    session.detach("H:1");
    const second = submit("u");
    session.receive(fromServer("WORK_DATA", ["H:1"], "under way"));
    session.receive(fromServer("JOB_CREATED", ["H:1"]));
    session.receive(fromServer("WORK_COMPLETE", ["H:1"], "ok"));
    expect(sink.sent[1]).toBe("DETACH H:1");
    expect(first.told).toEqual(["created H:1"]);
    expect(second.told).toEqual(["created H:1", "complete ok"]);
  });

  it("to the right one when an earlier one was forgotten that the server still counts", () => {
    const first = submit("u");
    session.receive(fromServer("JOB_CREATED", ["H:1"]));
    session.forget("H:1", first);
    const second = submit("u");
    session.receive(fromServer("JOB_CREATED", ["H:1"]));
    for (let i = 0; i < 2; i++) session.receive(fromServer("WORK_DATA", ["H:1"], "x"));
    for (let i = 0; i < 2; i++) session.receive(fromServer("WORK_COMPLETE", ["H:1"], "ok"));
    expect(first.told).toEqual(["created H:1"]);
    expect(second.told).toEqual(["created H:1", "data x", "complete ok"]);
    expect(session.attached).toBe(0);
  });

  it("and tells everyone who waits when the connection is lost, each once", () => {
    const attached = submit();
    session.receive(fromServer("JOB_CREATED", ["H:1"]));
    const [waiting, background] = [submit(), submit("", { background: true })];
    const [status, echo] = [asker(), asker()];
    session.getStatus("H:1", status);
    session.echo(bytesOf("ping"), echo);
    session.lost();
    session.lost();
    expect(attached.told).toEqual(["created H:1", "lost"]);
    expect([waiting.told, background.told, status.told, echo.told]).toEqual([
      ["lost"],
      ["lost"],
      ["lost"],
      ["lost"],
    ]);
  });
});
