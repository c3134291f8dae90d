import { bytesOf, encodePacket, PACKETS, PacketType, REQ } from "@drover/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  Account,
  Identity,
  type IdentityLimits,
  NO_RIGHTS,
  type Rights,
  STRANGER,
} from "../src/core/index.ts";
import { type TestPeer, TestServer } from "./harness.ts";

/* Who may do what, and how much of it. */

function identity(rights: Partial<Rights>, limits?: Partial<IdentityLimits>): Identity {
  const none = { submissionsPerS: 0, burst: 0, maxJobs: 0, maxQueuedBytes: 0, maxConnections: 0 };
  const account = limits === undefined ? null : new Account({ ...none, ...limits });
  return new Identity("shop", { ...NO_RIGHTS, ...rights }, { account, source: "token", tokenId: "t1" });
}

const ADMIN = identity({ admin: true });
const ADDRESS = "10.0.0.1";

function connect(server: TestServer, rights: Partial<Rights>): TestPeer {
  return server.connect(ADDRESS, identity(rights));
}

describe("reserved functions", () => {
  const reserved = ["gate:"];

  it("are not meant by a star, neither to submit nor to work", () => {
    const server = new TestServer({ reserved });
    const client = connect(server, { submit: ["*", "g*"] });
    client.send("SUBMIT_JOB", ["gate:merge", "a"], "w");
    client.expect("ERROR FORBIDDEN Right submit:gate:merge is missing");
    client.submit("gates", "a");
    client.send("SUBMIT_REDUCE_JOB", ["gates", "u", "gate:merge", ""], "w");
    expect(server.notes).toMatchObject([{ right: "submit", fn: "gate:merge" }, { fn: "gate:merge" }]);
    const worker = connect(server, { work: ["*"] });
    worker.send("CAN_DO", ["gate:build:local"]);
    expect(worker.closed).toBe(true);
  });

  it("are for whom they are named, and for nobody where nobody has to prove anything", () => {
    const server = new TestServer({ reserved });
    const executor = connect(server, { work: ["gate:build:*"] });
    executor.send("CAN_DO", ["gate:build:local"]);
    expect(executor.closed).toBe(false);
    const anyone = server.connect(ADDRESS);
    anyone.send("SUBMIT_JOB", ["gate:build:local", "a"], "w");
    anyone.expect("ERROR FORBIDDEN Right submit:gate:build:local is missing");
  });
});

describe("rights", () => {
  it("submits to functions of the right submit only, and stays connected after a refusal", () => {
    const server = new TestServer();
    const client = connect(server, { submit: ["resize", "mail.*"] });
    client.submit("resize", "a");
    client.submit("mail.urgent", "a");
    client.send("SUBMIT_JOB", ["secret", "a"], "w");
    client.expect("ERROR FORBIDDEN Right submit:secret is missing");
    expect(client.closed).toBe(false);
    // Nothing of it is left, and what was allowed before is not a way round.
    expect(server.state.functions.has("secret")).toBe(false);
    client.submit("resize", "b");
    expect(server.notes).toMatchObject([{ code: "FORBIDDEN", right: "submit", fn: "secret" }]);
    expect(server.state.counts.forbidden).toBe(1);
  });

  it.each([
    ["SUBMIT_JOB", ["secret", "u"]],
    ["SUBMIT_JOB_BG", ["secret", "u"]],
    ["SUBMIT_JOB_HIGH", ["secret", "u"]],
    ["SUBMIT_JOB_HIGH_BG", ["secret", "u"]],
    ["SUBMIT_JOB_LOW", ["secret", "u"]],
    ["SUBMIT_JOB_LOW_BG", ["secret", "u"]],
    ["SUBMIT_JOB_EPOCH", ["secret", "u", "1"]],
    ["SUBMIT_JOB_SCHED", ["secret", "u", "*", "*", "*", "*", "*"]],
    ["SUBMIT_REDUCE_JOB", ["secret", "u", "resize", ""]],
    ["SUBMIT_REDUCE_JOB", ["resize", "u", "secret", ""]],
    ["SUBMIT_REDUCE_JOB_BACKGROUND", ["secret", "u", "resize", ""]],
    ["SUBMIT_JOB_EXT", ["secret", "u", ""]],
    ["SUBMIT_JOB_EXT", ["resize", "u", "reducer=secret"]],
  ] as const)("%s %j is refused, whoever has a job of that unique", (packet, args) => {
    const server = new TestServer();
    const owner = server.connect();
    owner.submit("secret", "u");
    const client = connect(server, { submit: ["resize"] });
    client.send("OPTION_REQ", ["drover.1"]);
    client.expect("OPTION_RES drover.1");
    client.send(packet, args, "w");
    client.expect("ERROR FORBIDDEN Right submit:secret is missing");
    expect(server.state.submissionCount).toBe(1);
    expect(server.state.jobs.size).toBe(1);
  });

  it.each(["CAN_DO", "CAN_DO_TIMEOUT"] as const)("%s of another function ends the connection", (packet) => {
    const server = new TestServer();
    const worker = connect(server, { work: ["resize"], submit: ["*"] });
    worker.send("CAN_DO", ["resize"]);
    worker.expect();
    worker.send(packet, packet === "CAN_DO" ? ["mail"] : ["mail", "5000"]);
    worker.expect("ERROR FORBIDDEN Right work:mail is missing");
    expect(worker.closed).toBe(true);
    expect(server.state.functions.has("mail")).toBe(false);
  });

  it("status, reports and outcome of a job need status, or submit on its function: handles can be guessed", () => {
    const server = new TestServer();
    const owner = server.connect();
    const handle = owner.background("secret", "u");
    const guesser = connect(server, { submit: ["resize"], work: ["*"] });
    guesser.send("OPTION_REQ", ["drover.1"]);
    guesser.got();
    const forbidden = "ERROR FORBIDDEN Right status is missing";
    guesser.send("GET_STATUS", [handle]);
    guesser.send("GET_STATUS_UNIQUE", ["u"]);
    guesser.send("GET_OUTCOME", [handle, ""]);
    guesser.send("GET_OUTCOME", ["secret", "u"]);
    guesser.expect(forbidden, forbidden, forbidden, forbidden);
    for (const rights of [{ status: true }, { admin: true }, { submit: ["secret"] }]) {
      const allowed = connect(server, rights);
      allowed.send("GET_STATUS", [handle]);
      allowed.expect(`STATUS_RES ${handle} 1 0 0 0`);
    }
  });

  it("an outcome is kept from those who could not ask for the job", () => {
    const server = new TestServer();
    const [owner, worker] = [server.connect(), server.worker("secret")];
    const handle = owner.background("secret", "u");
    worker.complete(worker.grab().handle);
    const guesser = connect(server, { submit: ["resize"] });
    guesser.send("OPTION_REQ", ["drover.1"]);
    guesser.got();
    guesser.send("GET_OUTCOME", [handle, ""]);
    guesser.expect("ERROR FORBIDDEN Right status is missing");
  });

  it("a unique that several functions have shows the job of an allowed one", () => {
    const server = new TestServer();
    const owner = server.connect();
    owner.background("secret", "u");
    owner.background("resize", "u");
    const client = connect(server, { submit: ["resize"] });
    client.send("GET_STATUS_UNIQUE", ["u"]);
    client.expect("STATUS_RES_UNIQUE u 1 0 0 0 0");
  });

  const READING = [
    "status",
    "prioritystatus",
    "workers",
    "show jobs",
    "show unique jobs",
    "getpid",
    "verbose",
    "version",
    "functions",
    "jobs",
    "deadletters",
    "counts",
  ];
  const CHANGING = [
    "cancel job H:1",
    "create function f",
    "drop function f",
    "maxqueue f 1",
    "pause function f",
    "resume function f",
    "deadletter show H:1",
    "deadletter requeue H:1",
    "deadletter delete H:1",
    "shutdown",
    "SHUTDOWN graceful",
  ];

  it.each(READING)("the line %s needs status", (line) => {
    const server = new TestServer({ allowShutdown: true });
    expect(connect(server, { submit: ["*"], work: ["*"] }).admin(line)).toEqual([
      "ERR FORBIDDEN Right+status+is+missing",
    ]);
    expect(connect(server, { status: true }).admin(line).join()).not.toContain("ERR");
    expect(server.connect(ADDRESS, ADMIN).admin(line).join()).not.toContain("ERR");
  });

  it.each(CHANGING)("the line %s needs admin", (line) => {
    const server = new TestServer({ allowShutdown: true });
    const reader = connect(server, { submit: ["*"], work: ["*"], status: true });
    expect(reader.admin(line)).toEqual(["ERR FORBIDDEN Right+admin+is+missing"]);
    expect(server.state.shutdownRequested).toBeNull();
    expect(server.state.functions.size).toBe(0);
    expect(server.connect(ADDRESS, ADMIN).admin(line).join()).not.toContain("FORBIDDEN");
  });

  it("every admin command is in one of the two lists: none is free by an omission", () => {
    const server = new TestServer();
    const nobody = connect(server, {});
    for (const line of [...READING, ...CHANGING]) {
      expect(nobody.admin(line).join()).toMatch(/^ERR FORBIDDEN/);
    }
    expect(nobody.admin("nonsense").join()).toMatch(/^ERR UNKNOWN_COMMAND/);
  });

  it("what an administrator changes is noted with its result, what one reads is not", () => {
    const server = new TestServer();
    const admin = server.connect(ADDRESS, ADMIN);
    admin.admin("create function f");
    admin.admin("cancel job H:77");
    admin.admin("status");
    expect(server.notes).toMatchObject([
      { code: "ADMIN_ACT", act: "create", target: "function f", result: "OK" },
      { code: "ADMIN_ACT", act: "cancel", target: "job H:77", result: "ERR UNKNOWN_JOB" },
    ]);
  });

  it("a right is never wider than its glob", () => {
    const letters = fc.constantFrom("a", "b", "*", "?", ".");
    const globs = fc.array(letters, { maxLength: 8 }).map((parts) => parts.join(""));
    const names = fc
      .array(fc.constantFrom("a", "b", ".", "\xff"), { maxLength: 8 })
      .map((parts) => parts.join(""));
    fc.assert(
      fc.property(fc.array(globs, { maxLength: 3 }), names, (submit, name) => {
        const server = new TestServer();
        const client = connect(server, { submit });
        client.send("SUBMIT_JOB", [name, "u"], "w");
        const created = client.got().some((answer) => answer.startsWith("JOB_CREATED"));
        expect(created).toBe(submit.some((glob) => fits(glob, name)));
      }),
      { numRuns: 2000 },
    );
  });
});

/** A glob's meaning, by its definition. */
function fits(glob: string, name: string): boolean {
  if (glob === "") return name === "";
  const [first, rest] = [glob[0], glob.slice(1)];
  if (first === "*") {
    for (let n = 0; n <= name.length; n++) if (fits(rest, name.slice(n))) return true;
    return false;
  }
  return name !== "" && (first === "?" || first === name[0]) && fits(rest, name.slice(1));
}

describe("authentication", () => {
  const VALID = "drover_1_valid";
  const server = (rights: Partial<Rights> = { submit: ["*"] }) =>
    new TestServer({ authenticate: (token) => (token === VALID ? identity(rights) : null) });

  it("a token gives its connection an identity, and is not sent back", () => {
    const on = server();
    const client = on.connect(ADDRESS, STRANGER);
    client.send("OPTION_REQ", [`drover.auth:${VALID}`]);
    client.expect("OPTION_RES drover.auth");
    client.submit("f", "u");
    on.pass(60_000);
    expect(client.closed).toBe(false);
  });

  it("the option's name is read in any case, the token is not", () => {
    const client = server().connect(ADDRESS, STRANGER);
    client.send("OPTION_REQ", [`DROVER.Auth:${VALID}`]);
    client.expect("OPTION_RES drover.auth");
    const other = server().connect(ADDRESS, STRANGER);
    other.send("OPTION_REQ", [`drover.auth:${VALID.toUpperCase()}`]);
    other.expect("ERROR UNAUTHENTICATED The token is not valid");
  });

  it("a wrong token ends the connection, and is not noted", () => {
    const on = server();
    const client = on.connect(ADDRESS, STRANGER);
    client.send("OPTION_REQ", ["drover.auth:wrong-secret"]);
    client.expect("ERROR UNAUTHENTICATED The token is not valid");
    expect(client.closed).toBe(true);
    expect(on.noteCodes).toEqual(["UNAUTHENTICATED"]);
    expect(JSON.stringify(on.notes, (key, value) => (key === "peer" ? null : value))).not.toContain("wrong");
  });

  it("without authentication the option is unknown, as every other that a server does not have", () => {
    const client = new TestServer().connect();
    client.send("OPTION_REQ", ["drover.auth:anything"]);
    client.expect("ERROR UNKNOWN_OPTION Server does not recognize given option");
  });

  it("a stranger may agree on drover.1 and ask for echoes", () => {
    const client = server().connect(ADDRESS, STRANGER);
    client.send("OPTION_REQ", ["drover.1"]);
    client.send("ECHO_REQ", [], "hello");
    client.expect("OPTION_RES drover.1", "ECHO_RES hello");
    expect(client.closed).toBe(false);
  });

  it.each(PACKETS.filter(({ name }) => name !== "ECHO_REQ" && name !== "OPTION_REQ"))(
    "a stranger's $name is refused, and the end",
    ({ type, args, data }) => {
      const on = server();
      const client = on.connect(ADDRESS, STRANGER);
      const words = args.map(() => "1");
      client.bytes(encodePacket(REQ, type, words, data === undefined ? undefined : bytesOf("w")));
      client.expect("ERROR UNAUTHENTICATED Authenticate first: OPTION_REQ drover.auth:TOKEN");
      expect(client.closed).toBe(true);
      expect(on.state.functions.size + on.state.jobs.size).toBe(0);
      expect(on.noteCodes).toEqual(["UNAUTHENTICATED"]);
    },
  );

  it.each(["exceptions", "drover.9", "drover.11", "drover.auth"])("so is its option %s", (option) => {
    const client = server().connect(ADDRESS, STRANGER);
    client.send("OPTION_REQ", [option]);
    client.expect("ERROR UNAUTHENTICATED Authenticate first: OPTION_REQ drover.auth:TOKEN");
    expect(client.closed).toBe(true);
  });

  it.each(["status", "version", "nonsense", "shutdown"])("so is its line %s", (line) => {
    const client = server().connect(ADDRESS, STRANGER);
    expect(client.admin(line)).toEqual([
      "ERR UNAUTHENTICATED Authenticate+first:+OPTION_REQ+drover.auth:TOKEN",
    ]);
    expect(client.closed).toBe(true);
  });

  it("what a stranger sends behind a refused request is not looked at", () => {
    const on = server();
    const client = on.connect(ADDRESS, STRANGER);
    client.together(
      encodePacket(REQ, PacketType.SUBMIT_JOB, ["f", "u"], bytesOf("w")),
      encodePacket(REQ, PacketType.OPTION_REQ, [`drover.auth:${VALID}`]),
      encodePacket(REQ, PacketType.SUBMIT_JOB, ["f", "u"], bytesOf("w")),
    );
    client.expect("ERROR UNAUTHENTICATED Authenticate first: OPTION_REQ drover.auth:TOKEN");
    expect(on.state.jobs.size).toBe(0);
  });

  it("with the token in front everything may come in one piece, large packets too", () => {
    const client = server().connect(ADDRESS, STRANGER);
    client.together(
      encodePacket(REQ, PacketType.OPTION_REQ, [`drover.auth:${VALID}`]),
      encodePacket(REQ, PacketType.ECHO_REQ, [], bytesOf("x".repeat(100_000))),
    );
    expect(client.got().map((text) => text.slice(0, 22))).toEqual([
      "OPTION_RES drover.auth",
      "ECHO_RES xxxxxxxxxxxxx",
    ]);
  });

  it("another token that does not allow what is under way ends the connection", () => {
    const on = server({ work: ["f"] });
    const worker = on.connect(ADDRESS, identity({ work: ["g"] }));
    worker.send("CAN_DO", ["g"]);
    worker.send("OPTION_REQ", [`drover.auth:${VALID}`]);
    worker.expect("ERROR FORBIDDEN The token does not allow what is under way here");
    expect(worker.closed).toBe(true);
  });
});

describe("an identity that ends", () => {
  it("closes its connections, and gives their jobs to others", () => {
    const server = new TestServer();
    const [ended, kept] = [identity({ work: ["f"] }), identity({ work: ["f"] })];
    const [revoked, other] = [server.connect(ADDRESS, ended), server.connect(ADDRESS, kept)];
    for (const worker of [revoked, other]) worker.send("CAN_DO", ["f"]);
    const client = server.connect();
    client.submit("f", "u");
    revoked.grab();
    server.turn(() => server.core.reidentify((one) => (one === ended ? null : one), "its token was revoked"));
    expect([revoked.closed, other.closed, client.closed]).toEqual([true, false, false]);
    expect(server.notes).toMatchObject([{ code: "IDENTITY_ENDED", detail: "its token was revoked" }]);
    expect(other.grab().fn).toBe("f");
  });

  it("with fewer rights ends what is under way without them, and nothing else", () => {
    const server = new TestServer();
    const before = identity({ submit: ["*"], work: ["*"] });
    const [worker, client, idle] = [1, 2, 3].map(() => server.connect(ADDRESS, before));
    worker!.send("CAN_DO", ["f"]);
    client!.submit("g", "u");
    idle!.submit("h", "u");
    const after = identity({ submit: ["h"], work: ["x"] });
    server.turn(() => server.core.reidentify((one) => (one === before ? after : one), "changed"));
    expect([worker!.closed, client!.closed, idle!.closed]).toEqual([true, true, false]);
    idle!.send("SUBMIT_JOB", ["g", "u"], "w");
    idle!.expect("ERROR FORBIDDEN Right submit:g is missing");
  });

  it("what was allowed last is judged anew", () => {
    const server = new TestServer();
    const [before, after] = [identity({ submit: ["f"] }), identity({ submit: ["g"] })];
    const client = server.connect(ADDRESS, before);
    client.background("f", "u");
    server.turn(() => server.core.reidentify((one) => (one === before ? after : one), "changed"));
    client.send("SUBMIT_JOB", ["f", "u"], "w");
    client.expect("ERROR FORBIDDEN Right submit:f is missing");
  });
});

describe("limits of an identity", () => {
  const limited = (limits: Partial<IdentityLimits>) => identity({ submit: ["*"], work: ["*"] }, limits);
  const LATER = "ERROR RATE_LIMITED Too many submissions, come back later";

  it("submissionsPerS and burst are shared by its connections; what is above is refused, and they stay", () => {
    const server = new TestServer();
    const shop = limited({ submissionsPerS: 10, burst: 3 });
    const [one, two, other] = [
      server.connect(ADDRESS, shop),
      server.connect(ADDRESS, shop),
      server.connect(),
    ];
    one.submit("f", "");
    two.submit("f", "");
    one.submit("f", "");
    two.send("SUBMIT_JOB_BG", ["f", ""], "w");
    two.expect(LATER);
    other.submit("f", "");
    server.pass(99);
    one.send("SUBMIT_JOB", ["f", ""], "w");
    one.expect(LATER);
    server.pass(1);
    one.submit("f", "");
    expect([one.closed, two.closed]).toEqual([false, false]);
    expect(server.state.counts.rateLimited).toBe(2);
    expect(server.notes[0]).toMatchObject({ code: "LIMIT_REACHED", limit: "submissionsPerS" });
  });

  it("a silence earns no more than the burst", () => {
    const server = new TestServer();
    const client = server.connect(ADDRESS, limited({ submissionsPerS: 10, burst: 3 }));
    server.pass(3_600_000);
    for (let i = 0; i < 3; i++) client.submit("f", "");
    client.send("SUBMIT_JOB", ["f", ""], "w");
    client.expect(LATER);
  });

  it("maxJobs counts its unfinished jobs wherever they are, until they end", () => {
    const server = new TestServer();
    const shop = limited({ maxJobs: 2 });
    const [client, worker] = [server.connect(ADDRESS, shop), server.worker("f")];
    client.background("f", "a");
    client.background("f", "b");
    client.send("SUBMIT_JOB", ["f", "c"], "w");
    client.expect("ERROR QUEUE_ERROR Quota of unfinished jobs is full");
    // Joining makes no job.
    client.submit("f", "a");
    client.disconnect();
    const again = server.connect(ADDRESS, shop);
    again.send("SUBMIT_JOB", ["f", "c"], "w");
    again.expect("ERROR QUEUE_ERROR Quota of unfinished jobs is full");
    worker.complete(worker.grab().handle);
    again.submit("f", "c");
    expect(server.notes[0]).toMatchObject({ code: "LIMIT_REACHED", limit: "identity.maxJobs" });
  });

  it("maxQueuedBytes counts the workloads of its unfinished jobs", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(ADDRESS, limited({ maxQueuedBytes: 10 })), server.worker("f")];
    client.submit("f", "a", "123456");
    client.send("SUBMIT_JOB", ["f", "b"], "12345");
    client.expect("ERROR QUEUE_ERROR Quota of unfinished jobs is full");
    client.submit("f", "c", "1234");
    worker.complete(worker.grab().handle);
    client.got();
    client.submit("f", "b", "12345");
  });

  it("maxConnections: one more is told and closed, and another's place can be had", () => {
    const server = new TestServer();
    const shop = limited({ maxConnections: 1 });
    const first = server.connect(ADDRESS, shop);
    const second = server.connect(ADDRESS, shop);
    second.expect("ERROR QUEUE_ERROR Too many connections");
    expect(second.closed).toBe(true);
    first.disconnect();
    const third = server.connect(ADDRESS, shop);
    third.submit("f", "u");
    expect(shop.account!.connections).toBe(1);
    third.disconnect();
    expect(shop.account!.connections).toBe(0);
  });

  it("jobs of identities without quotas carry nothing for them", () => {
    const server = new TestServer();
    server.connect(ADDRESS, limited({ submissionsPerS: 1000, maxConnections: 5 })).submit("f", "u");
    server.connect().submit("f", "v");
    for (const job of server.state.jobs.values()) expect(job.rare).toBeNull();
  });

  it("whatever happens to its jobs, nothing counts for it when they have ended", () => {
    const server = new TestServer({ settings: { maxAttempts: 1 } });
    const shop = limited({ maxJobs: 100, maxQueuedBytes: 10_000 });
    const client = server.connect(ADDRESS, shop);
    const worker = server.worker("f");
    client.submit("f", "abandoned");
    client.submitLater("f", "cancelled", 60_000);
    client.background("f", "failed");
    client.background("f", "lost");
    expect(shop.account!.jobs).toBe(4);
    worker.complete(worker.grab().handle);
    worker.fail(worker.grab().handle);
    worker.grab();
    worker.disconnect();
    const admin = server.connect();
    const [later] = admin.admin("show jobs");
    admin.admin(`cancel job ${later!.split("\t")[0]}`);
    expect(server.state.jobs.size).toBe(0);
    expect([shop.account!.jobs, shop.account!.queuedBytes]).toEqual([0, 0]);
  });
});
