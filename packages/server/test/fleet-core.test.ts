import { ClientSession, PacketType } from "@drover/protocol";
import { describe, expect, it } from "vitest";
import { fromServer, TellingSink } from "../../protocol/test/recorders.ts";
import { MAX_QUESTIONS } from "../src/core/questions.ts";
import { Relay, Relays } from "../src/peers/link.ts";
import { FleetStage } from "./fleet-stage.ts";
import { TestServer } from "./harness.ts";

/* A fleet without sockets: the cases that the simulation found, each by itself. */

const text = (chunk: string) => Buffer.from(chunk);

describe("a forwarded submission", () => {
  it("does not wait for the first word of a member that has left", () => {
    const server = new TestServer();
    const stage = new FleetStage(server, ["b", "c", "self"]);
    stage.tell((fleet) => fleet.up("c"));
    const client = server.connect();
    const handle = client.submit("f", "u");
    expect(stage.sent).toEqual([]);
    stage.tell((fleet) => fleet.setMembers(["c"]));
    expect(stage.sent).toMatchObject([{ member: "c", fn: "f", unique: "u", background: false }]);
    stage.tell((fleet) => {
      fleet.created(stage.last.id, "H:c:1");
      fleet.complete(stage.last.id, text("done"));
    });
    client.expect(`WORK_COMPLETE ${handle} done`);
  });

  it("goes to the new owner when the list changes and its server is lost", () => {
    const server = new TestServer();
    const stage = new FleetStage(server, ["d", "b", "c", "self"]);
    stage.tell((fleet) => fleet.setMembers(["b", "c"]));
    stage.tell((fleet) => {
      for (const name of ["b", "c"]) fleet.up(name);
    });
    server.connect().submit("f", "u");
    expect(stage.nothingHeld()).toEqual(["b"]);
    stage.tell((fleet) => fleet.setMembers(["d", "b", "c"]));
    stage.tell((fleet) => fleet.up("d"));
    stage.tell((fleet) => fleet.down("b"));
    expect(stage.nothingHeld()).toEqual(["b", "d"]);
  });

  it("is told how its job stands in traces, and so are those who join it", () => {
    const server = new TestServer();
    const stage = new FleetStage(server, ["b", "self"]);
    stage.tell((fleet) => fleet.up("b"));
    const [client, late] = [server.connectDrover(), server.connectDrover()];
    const [own, first, run, other] = ["a", "b", "c", "d"].map(
      (digit) => `00-${digit.repeat(32)}-${digit.repeat(16)}-01`,
    ) as [string, string, string, string];
    const handle = client.submitWith("f", "u", { traceparent: own });
    expect(stage.last.options).toContain("traceparent=");
    stage.tell((fleet) => fleet.traced(stage.last.id, { first, run }));
    client.expect(`JOB_TRACE ${handle} ${first} ${run}`);
    expect(late.submitWith("f", "u", { traceparent: other })).toBe(handle);
    late.expect(`JOB_TRACE ${handle} ${first} ${run}`);
  });

  it("that is taken back leaves alone another one of its key that has no handle yet", () => {
    const link = new StageLink();
    link.submit(1, "u");
    link.answers("H:b:1");
    link.submit(2, "u");
    link.leave(1);
    link.expect("SUBMIT_JOB_EXT f u  w", "SUBMIT_JOB_EXT f u  w");
    link.answers("H:b:1");
    // The server counts both, and a DETACH is for all of a handle.
    link.leave(2);
    link.expect();
    link.submit(3, "v");
    link.answers("H:b:2");
    link.leave(3);
    link.expect("SUBMIT_JOB_EXT f v  w", "DETACH H:b:2");
    expect(link.told).toEqual(["created 1", "created 2", "created 3"]);
  });

  it("that is taken back before it has a handle goes as soon as it has one", () => {
    const link = new StageLink();
    link.submit(1, "u");
    link.leave(1);
    link.expect("SUBMIT_JOB_EXT f u  w");
    link.answers("H:b:1");
    link.expect("DETACH H:b:1");
    expect(link.relays.get(1)).toBeUndefined();
    expect(link.told).toEqual([]);
  });

  it("of a background job is forgotten once it has its handle or was refused", () => {
    const link = new StageLink();
    link.submit(1, "u", true);
    link.submit(2, "v", true);
    link.answers("H:b:1");
    link.refuses("QUEUE_ERROR");
    expect(link.told).toEqual(["created 1", "refused 2"]);
    expect([1, 2].map((id) => link.relays.get(id))).toEqual([undefined, undefined]);
  });
});

describe("behind an acknowledgement that waits for its owner", () => {
  it("all copies of a report to one connection stay together", () => {
    const server = new TestServer();
    const stage = new FleetStage(server, ["b", "self"]);
    stage.tell((fleet) => fleet.up("b"));
    const client = server.connect();
    const handle = client.submit("f", "u");
    const foreground = stage.last.id;
    stage.tell((fleet) => fleet.created(foreground, "H:b:1"));
    client.send("SUBMIT_JOB_BG", ["f", "v"], "w");
    const background = stage.last.id;
    client.send("SUBMIT_JOB", ["f", "u"], "w");
    stage.tell((fleet) => fleet.data(foreground, PacketType.WORK_DATA, text("part")));
    client.expect();
    stage.tell((fleet) => fleet.created(background, "H:b:2"));
    client.expect(
      "JOB_CREATED H:2",
      `JOB_CREATED ${handle}`,
      `WORK_DATA ${handle} part`,
      `WORK_DATA ${handle} part`,
    );
  });
});

describe("a question about a job that others may have", () => {
  const unknown = "STATUS_RES_UNIQUE u 0 0 0 0 0";
  const stageOfThree = () => {
    const server = new TestServer();
    const stage = new FleetStage(server, ["b", "c", "self"]);
    stage.tell((fleet) => {
      for (const name of ["b", "c"]) fleet.up(name);
    });
    return { server, stage };
  };

  it("goes from one to the next until one knows, and what its connection asks later is answered later", () => {
    const { server, stage } = stageOfThree();
    const client = server.connect();
    client.send("GET_STATUS_UNIQUE", ["u"]);
    client.send("ECHO_REQ", [], "later");
    stage.tell(({ questions }) => questions.answered(stage.asked[0]!.id, null));
    expect(stage.asked).toMatchObject([
      { member: "b", question: { kind: "unique", unique: "u" } },
      { member: "c", question: { kind: "unique", unique: "u" } },
    ]);
    client.expect();
    stage.tell(({ questions }) => questions.answered(stage.asked[1]!.id, ["1", "1", "3", "10", "2"]));
    client.expect("STATUS_RES_UNIQUE u 1 1 3 10 2", "ECHO_RES later");
  });

  it("is answered when those who were asked are lost, and not asked of others by a member", () => {
    const { server, stage } = stageOfThree();
    const [client, member] = [server.connect(), server.connectDrover()];
    client.submit("f", "u");
    client.send("GET_STATUS_UNIQUE", ["u"]);
    member.peer.fleetName = "b";
    member.send("GET_STATUS_UNIQUE", ["u"]);
    member.expect(unknown);
    expect(stage.asked).toHaveLength(1);
    stage.tell((fleet) => fleet.down("b"));
    stage.tell((fleet) => fleet.down("c"));
    client.expect("STATUS_RES_UNIQUE u 1 0 0 0 1");
  });

  it("is answered by what the server knows itself past MAX_QUESTIONS", () => {
    const { server, stage } = stageOfThree();
    const client = server.connect();
    for (let i = 0; i < MAX_QUESTIONS; i++) client.send("GET_STATUS_UNIQUE", ["u"]);
    const other = server.connect();
    other.send("GET_STATUS_UNIQUE", ["u"]);
    other.expect(unknown);
    stage.tell(({ questions }) => questions.answered(stage.asked[0]!.id, ["1", "0", "0", "0", "1"]));
    other.send("GET_STATUS_UNIQUE", ["u"]);
    other.expect();
  });
});

/** The client's half of a link, whose server is the test. */
class StageLink {
  readonly relays = new Relays();
  /** What the fleet was told. */
  readonly told: string[] = [];
  readonly #sink = new TellingSink();
  readonly #session = new ClientSession(this.#sink);
  readonly #running = new Map<number, Relay>();

  submit(id: number, unique: string, background = false): void {
    const fleet = {
      created: (one: number) => this.told.push(`created ${one}`),
      refused: (one: number) => this.told.push(`refused ${one}`),
    };
    const ends = { fleet: fleet as never, turn() {} };
    const relay = new Relay(id, ends, this.relays, background ? "" : `f\0${unique}`);
    this.#running.set(id, relay);
    const options = background ? "background=1" : "";
    this.#session.submit({ function: "f", unique, options, background, workload: text("w") }, relay);
  }

  leave(id: number): void {
    this.#running.get(id)!.leave({ session: this.#session });
  }

  answers(handle: string): void {
    this.#session.receive(fromServer("JOB_CREATED", [handle]));
  }

  refuses(code: string): void {
    this.#session.receive(fromServer("ERROR", [code, "no"]));
  }

  /** What was sent since the test last looked. */
  expect(...packets: readonly string[]): void {
    expect(this.#sink.take()).toEqual(packets);
  }
}
