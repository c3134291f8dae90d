import { bytesOf, encodePacket, PacketType, REQ } from "@drover/protocol";
import { describe, expect, it } from "vitest";
import { TestServer } from "./harness.ts";

/* One test for each bug of gearmand that Drover is to be correct on; each says what gearmand does. */

describe("where gearmand goes wrong", () => {
  it("a submission that joins an abandoned queued job is served (gearmand: waits for ever)", () => {
    const server = new TestServer();
    const [first, second, worker] = [server.connect(), server.connect(), server.worker("f")];
    first.submit("f", "u");
    first.disconnect();
    const handle = second.submit("f", "u");
    expect(worker.grab().handle).toBe(handle);
    worker.complete(handle, "r");
    second.expect(`WORK_COMPLETE ${handle} r`);
  });

  it.each(["foreground first", "background first"])(
    "a background claim survives the last foreground client, %s (gearmand: never runs)",
    (order) => {
      const server = new TestServer();
      const [foreground, background, worker] = [server.connect(), server.connect(), server.worker("f")];
      if (order === "foreground first") foreground.submit("f", "u");
      const handle = background.background("f", "u");
      if (order === "background first") foreground.submit("f", "u");
      foreground.disconnect();
      background.disconnect();
      expect(worker.grab().handle).toBe(handle);
    },
  );

  it("a background claim that joined is one for good: the job is retried and its outcome known (gearmand: not persisted)", () => {
    const server = new TestServer();
    const [foreground, background] = [server.connect(), server.connectDrover()];
    const worker = server.worker("f");
    const handle = foreground.submit("f", "u");
    background.background("f", "u");
    worker.grab();
    foreground.disconnect();
    worker.disconnect();
    const next = server.worker("f");
    next.complete(next.grab().handle);
    background.send("GET_OUTCOME", [handle, ""]);
    expect(background.got()[0]).toContain(" done ");
  });

  it.each(["queued", "running"])(
    "a submission after the cancel of a %s job is a new job (gearmand: joins the corpse)",
    (state) => {
      const server = new TestServer();
      const [client, admin, worker] = [server.connect(), server.connect(), server.worker("f")];
      const handle = client.submit("f", "u");
      if (state === "running") worker.grab();
      expect(admin.admin(`cancel job ${handle}`)).toEqual(["OK"]);
      client.expect(`WORK_FAIL ${handle}`);
      const own = client.submit("f", "u");
      expect(own).not.toBe(handle);
      expect(worker.grab().handle).toBe(own);
    },
  );

  it.each(["CANT_DO", "RESET_ABILITIES"] as const)(
    "%s does not start a second copy of what still runs (gearmand: two copies active)",
    (packet) => {
      const server = new TestServer();
      const [client, worker, other] = [server.connect(), server.worker("f"), server.worker("f")];
      client.submit("f", "u");
      worker.grab();
      worker.send(packet, packet === "CANT_DO" ? ["f"] : []);
      expect(other.tryGrab()).toBeNull();
    },
  );

  it("a run that timed out does not count for its job any more: only one valid copy (gearmand: two copies active)", () => {
    const server = new TestServer({ settings: { onTimeout: "retry" } });
    const [client, slow, quick] = [server.connect(), server.connect(), server.worker("f")];
    slow.send("CAN_DO_TIMEOUT", ["f", "100"]);
    const handle = client.submit("f", "u");
    slow.grab();
    server.pass(100);
    quick.grab();
    slow.complete(handle, "slow");
    quick.complete(handle, "quick");
    client.expect(`WORK_COMPLETE ${handle} quick`);
  });

  it("an administrator's cancel fails the submitters once, and the result reaches nobody (gearmand: FAIL and later the result)", () => {
    const server = new TestServer();
    const [client, admin, worker] = [server.connect(), server.connect(), server.worker("f")];
    const handle = client.submit("f", "u");
    worker.grab();
    admin.admin(`cancel job ${handle}`);
    expect(admin.admin(`cancel job ${handle}`)).toEqual(["ERR UNKNOWN_JOB"]);
    worker.complete(handle, "late");
    client.expect(`WORK_FAIL ${handle}`);
    worker.expect("ERROR JOB_NOT_FOUND Job given in work result not found");
  });

  it("jobs with empty uniques are kept apart (gearmand: they overwrite each other in the store)", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.worker("f")];
    client.background("f", "", "one");
    client.background("f", "", "two");
    expect(worker.grabAll()).toEqual(["one", "two"]);
  });

  it("a job for a date wakes a sleeping worker when it is due (gearmand: runs when something else happens)", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.worker("f")];
    worker.sleep();
    client.submitLater("f", "u", 2_000);
    server.pass(2_000);
    worker.expect("NOOP");
  });

  it("a job for a date neither starves low priority nor keeps workers awake (gearmand: both)", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.worker("f")];
    client.submitLater("f", "u", 60_000, "later");
    client.submit("f", "v", "low", "SUBMIT_JOB_LOW");
    expect(worker.grab().workload).toBe("low");
    expect(worker.tryGrab()).toBeNull();
    worker.sleep();
    worker.expect();
  });

  it("the timeout of a job that ended does not hit the next one (gearmand: a stale timer, then a double free)", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.connect()];
    worker.send("CAN_DO_TIMEOUT", ["f", "100"]);
    const first = client.submit("f", "a");
    const second = client.submit("f", "b");
    worker.grab();
    server.pass(60);
    worker.complete(first);
    worker.grab();
    server.pass(60);
    worker.complete(second, "r");
    client.expect(`WORK_COMPLETE ${first} done`, `WORK_COMPLETE ${second} r`);
  });

  it("each of two jobs on a connection has a timeout of its own (gearmand: one timer for a connection)", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.connect()];
    worker.send("CAN_DO_TIMEOUT", ["f", "100"]);
    const first = client.submit("f", "a");
    const second = client.submit("f", "b");
    worker.grab();
    server.pass(60);
    worker.grab();
    server.pass(40);
    client.expect(`WORK_FAIL ${first}`);
    server.pass(60);
    client.expect(`WORK_FAIL ${second}`);
  });

  it("uniques of 64 bytes and more join themselves and arrive whole (gearmand: cut to 63)", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.worker("f")];
    const unique = "0123456789abcdef".repeat(8);
    const handle = client.submit("f", unique, "work");
    expect(client.submit("f", unique)).toBe(handle);
    expect(worker.grab("GRAB_JOB_UNIQ")).toMatchObject({ args: [handle, "f", unique], workload: "work" });
  });

  it.each([
    ["GET_STATUS with a long handle", "GET_STATUS", ["h".repeat(100)], "STATUS_RES"],
    ["GET_STATUS_UNIQUE with a long unique", "GET_STATUS_UNIQUE", ["u".repeat(100)], "STATUS_RES_UNIQUE"],
    [
      "SUBMIT_JOB_EPOCH far beyond every date",
      "SUBMIT_JOB_EPOCH",
      ["f", "u", "9".repeat(30)],
      "ERROR INVALID_ARGUMENT",
    ],
  ] as const)("%s is answered (gearmand: no reply, the client hangs)", (_, packet, args, answer) => {
    const server = new TestServer();
    const client = server.connect();
    client.send(packet, args);
    const got = client.got();
    expect(got).toHaveLength(1);
    expect(got[0]!.startsWith(answer)).toBe(true);
  });

  it("a packet that lacks an argument is answered and ends the connection (gearmand: waits for ever)", () => {
    const server = new TestServer();
    const client = server.connect();
    const whole = encodePacket(REQ, PacketType.SUBMIT_JOB, ["f", "u"], bytesOf("w"));
    const body = bytesOf("no NUL here");
    whole.set([0, 0, 0, body.length], 8);
    client.together(whole.subarray(0, 12), body);
    expect(client.got()).toEqual(["ERROR INVALID_ARGUMENT SUBMIT_JOB lacks an argument"]);
    expect(client.closed).toBe(true);
  });

  it("WORK_COMPLETE without the NUL behind its handle ends the job (gearmand: the connection stalls)", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.worker("f")];
    const handle = client.submit("f", "u");
    worker.grab();
    const packet = encodePacket(REQ, PacketType.WORK_COMPLETE, [handle], bytesOf(""));
    packet.set([0, 0, 0, handle.length], 8);
    worker.bytes(packet.subarray(0, 12 + handle.length));
    client.expect(`WORK_COMPLETE ${handle}`);
  });

  it("a lost job goes to the head of its queue (gearmand: to the tail)", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.worker("f")];
    client.submit("f", "a", "first");
    client.submit("f", "b", "second");
    worker.grab();
    worker.disconnect();
    expect(server.worker("f").grabAll()).toEqual(["first", "second"]);
  });

  it("a sleeper that registers a function with waiting jobs is woken (gearmand: sleeps on)", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.worker("g")];
    client.submit("f", "u");
    worker.sleep();
    worker.expect();
    worker.send("CAN_DO", ["f"]);
    worker.expect("NOOP");
  });

  it("maxqueue of an unknown function is kept (gearmand: OK, and nothing is stored)", () => {
    const server = new TestServer();
    const client = server.connect();
    expect(client.admin("maxqueue f 1")).toEqual(["OK"]);
    client.submit("f", "a");
    expect(() => client.submit("f", "b")).toThrow("QUEUE_ERROR");
  });

  it("drop function with queued jobs is refused (gearmand: OK, and the jobs dangle)", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.connect()];
    client.submit("f", "u", "still here");
    expect(client.admin("drop function f")).toEqual([
      "ERR there are still connected workers or executing clients",
    ]);
    worker.send("CAN_DO", ["f"]);
    expect(worker.grab().workload).toBe("still here");
  });
});
