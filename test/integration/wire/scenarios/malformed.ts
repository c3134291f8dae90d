import { packet, type TypeName } from "../packet.ts";
import { scenarioGroup } from "../script.ts";

/** Input that breaks the protocol, or asks for what is not there. */
export const { scenario, scenarios } = scenarioGroup("malformed");

const onlyFromServers: TypeName[] = [
  "NOOP",
  "JOB_CREATED",
  "NO_JOB",
  "JOB_ASSIGN",
  "ECHO_RES",
  "ERROR",
  "STATUS_RES",
  "OPTION_RES",
  "JOB_ASSIGN_UNIQ",
  "JOB_ASSIGN_ALL",
  "STATUS_RES_UNIQUE",
];

for (const type of [...onlyFromServers, "UNUSED", "ALL_YOURS"] as const) {
  scenario(`request-of-type-${type.toLowerCase().replaceAll("_", "-")}`, async (s) => {
    const [peer] = await s.open("peer");
    peer.send(type, "a", "b", "c", "d", "e", "f");
    await s.settle(peer);
  });
}

for (const type of [0, 43, 1001, 0xffffffff]) {
  scenario(
    `unknown-type-${type}`,
    async (s) => {
      const [peer, other] = await s.open("peer", "other");
      peer.send("ECHO_REQ", "before");
      await s.settle();
      peer.send(type, "body");
      await s.settle(peer);
      other.send("ECHO_REQ", "the others go on");
      await s.settle();
    },
    { fresh: type === 0xffffffff },
  );
}

scenario("response-magic", async (s) => {
  const [peer] = await s.open("peer");
  peer.raw(packet("ECHO_REQ", Buffer.from("x"), "\0RES"));
  await s.settle(peer);
});

scenario("response-magic-of-unknown-type", async (s) => {
  const [peer, other] = await s.open("peer", "other");
  peer.raw(packet(99, Buffer.from("x"), "\0RES"));
  await s.settle(peer);
  other.send("ECHO_REQ", "the others go on");
  await s.settle();
});

for (const [name, magic] of Object.entries({ "other-magic": "\0ABC", "zero-magic": "\0\0\0\0" })) {
  scenario(name, async (s) => {
    const [peer, other] = await s.open("peer", "other");
    peer.send("ECHO_REQ", "before");
    await s.settle();
    peer.raw(packet("ECHO_REQ", Buffer.from("x"), magic));
    await s.settle(peer);
    other.send("ECHO_REQ", "the others go on");
    await s.settle();
  });
}

for (const [name, option] of Object.entries({
  "unknown-option": "no-such-option",
  "option-of-63-bytes": "o".repeat(63),
  "option-of-64-bytes": "o".repeat(64),
  "option-of-1000-bytes": "o".repeat(1_000),
  "empty-option": "",
  "option-with-nul": "exceptions\0",
})) {
  scenario(name, async (s) => {
    const [peer] = await s.open("peer");
    peer.send("OPTION_REQ", option);
    await s.settle(peer);
  });
}

for (const length of [62, 63, 64, 65, 255, 1024, 1025]) {
  scenario(`unique-of-${length}-bytes`, async (s) => {
    const f = s.name("f");
    const worker = await s.worker("worker", f);
    const [client] = await s.open("client");
    client.send("SUBMIT_JOB", f, "u".repeat(length), "one");
    client.send("SUBMIT_JOB", f, "u".repeat(length), "two");
    await s.settle();
    worker.send("GRAB_JOB_UNIQ");
    worker.send("GRAB_JOB_UNIQ");
    await s.settle();
  });
}

for (const length of [63, 64, 65, 200]) {
  scenario(`reducer-of-${length}-bytes`, async (s) => {
    const f = s.name("f");
    const worker = await s.worker("worker", f);
    const [client] = await s.open("client");
    client.send("SUBMIT_REDUCE_JOB", f, "", "r".repeat(length), "", "workload");
    await s.settle();
    worker.send("GRAB_JOB_ALL");
    await s.settle();
  });
  scenario(`reduce-unique-of-${length}-bytes`, async (s) => {
    const f = s.name("f");
    const worker = await s.worker("worker", f);
    const [client] = await s.open("client");
    client.send("SUBMIT_REDUCE_JOB", f, "u".repeat(length), "reducer", "", "workload");
    await s.settle();
    worker.send("GRAB_JOB_ALL");
    await s.settle();
  });
}

for (const length of [512, 513, 8_191, 8_192]) {
  scenario(`submit-to-function-of-${length}-bytes`, async (s) => {
    const [client] = await s.open("client");
    client.send("SUBMIT_JOB_BG", s.name("f").padEnd(length, "f"), "", "workload");
    await s.settle(client);
  });
  scenario(`can-do-function-of-${length}-bytes`, async (s) => {
    const [worker] = await s.open("worker");
    worker.send("CAN_DO", s.name("f").padEnd(length, "f"));
    worker.send("GRAB_JOB");
    await s.settle(worker);
  });
}

scenario("submit-without-any-nul", async (s) => {
  const [client] = await s.open("client");
  client.send("SUBMIT_JOB_BG", s.name("f"));
  await s.settle(client);
});

scenario("submit-without-the-last-nul", async (s) => {
  const [client] = await s.open("client");
  client.send("SUBMIT_JOB_BG", s.name("f"), "unique");
  await s.settle(client);
});

scenario("submit-with-empty-body", async (s) => {
  const [client] = await s.open("client");
  client.send("SUBMIT_JOB_BG");
  await s.settle(client);
});

scenario("reduce-job-with-three-arguments", async (s) => {
  const [client] = await s.open("client");
  client.send("SUBMIT_REDUCE_JOB", s.name("f"), "unique", "reducer", "workload");
  await s.settle(client);
});

scenario("size-smaller-than-the-arguments", async (s) => {
  const [client] = await s.open("client");
  const whole = packet("SUBMIT_JOB_BG", Buffer.from("function\0unique\0workload"));
  whole.writeUInt32BE(4, 8);
  client.raw(whole);
  await s.settle(client);
});

scenario(
  "size-of-four-gigabytes",
  async (s) => {
    const [client, other] = await s.open("client", "other");
    const header = packet("SUBMIT_JOB_BG", Buffer.alloc(0));
    header.writeUInt32BE(0xfffffff0, 8);
    client.raw(header);
    client.raw(`${s.name("f")}\0unique\0the beginning of a workload`);
    await s.settle(client);
    other.send("ECHO_REQ", "the others go on");
    await s.settle(client);
  },
  { fresh: true },
);

for (const type of ["PRE_SLEEP", "GRAB_JOB", "GRAB_JOB_UNIQ", "GRAB_JOB_ALL", "RESET_ABILITIES"] as const) {
  scenario(`${type.toLowerCase().replaceAll("_", "-")}-with-a-body`, async (s) => {
    const f = s.name("f");
    const [client] = await s.open("client");
    await s.submit(client, "SUBMIT_JOB_BG", f, "u", "workload");
    const worker = await s.worker("worker", f);
    worker.send(type, "not", "expected");
    worker.send("ECHO_REQ", "still here");
    await s.settle(worker);
  });
}

scenario("can-do-with-trailing-nul", async (s) => {
  const f = s.name("f");
  const [client] = await s.open("client");
  await s.submit(client, "SUBMIT_JOB_BG", f, "", "workload");
  const [worker] = await s.open("worker");
  worker.send("CAN_DO", f, "");
  worker.send("GRAB_JOB");
  await s.settle(worker);
});

scenario("cant-do-with-trailing-nul", async (s) => {
  const f = s.name("f");
  const [client] = await s.open("client");
  await s.submit(client, "SUBMIT_JOB_BG", f, "", "workload");
  const worker = await s.worker("worker", f);
  worker.send("CANT_DO", f, "");
  worker.send("GRAB_JOB");
  await s.settle(worker);
});

scenario("can-do-timeout-without-a-number", async (s) => {
  const [worker] = await s.open("worker");
  worker.send("CAN_DO_TIMEOUT", s.name("f"));
  await s.settle(worker);
});

scenario("can-do-timeout-with-trailing-nul", async (s) => {
  const f = s.name("f");
  const [client] = await s.open("client");
  await s.submit(client, "SUBMIT_JOB_BG", f, "", "workload");
  const [worker] = await s.open("worker");
  worker.send("CAN_DO_TIMEOUT", f, "60000", "");
  worker.send("GRAB_JOB");
  await s.settle(worker);
});

for (const [name, handle] of Object.entries({
  "of-63-bytes": "h".repeat(63),
  "of-64-bytes": "h".repeat(64),
  "of-200-bytes": "h".repeat(200),
  empty: "",
  "with-trailing-nul": "H:nowhere:1\0",
})) {
  scenario(`get-status-handle-${name}`, async (s) => {
    const [client] = await s.open("client");
    client.send("GET_STATUS", handle);
    await s.oneAnswer(client);
  });
  scenario(`get-status-unique-${name}`, async (s) => {
    const [client] = await s.open("client");
    client.send("GET_STATUS_UNIQUE", handle);
    await s.oneAnswer(client);
  });
}

for (const [name, when] of Object.entries({
  overflow: "99999999999999999999",
  "not-a-number": "tomorrow",
  empty: "",
  negative: "-1",
  "with-trailing-letters": "12x",
})) {
  scenario(`epoch-${name}`, async (s) => {
    const f = s.name("f");
    const [client] = await s.open("client");
    client.send("SUBMIT_JOB_EPOCH", f, "", when, "workload");
    await s.oneAnswer(client);
    const worker = await s.worker("worker", f);
    worker.send("GRAB_JOB");
    await s.settle();
  });
}

for (const length of [8_000, 8_191, 8_192, 8_193, 20_000]) {
  scenario(`text-line-of-${length}-bytes`, async (s) => {
    const [peer] = await s.open("peer");
    peer.raw(`${"x".repeat(length - 1)}\n`);
    await s.settle(peer);
  });
}

scenario("text-without-an-end", async (s) => {
  const [peer] = await s.open("peer");
  for (let part = 0; part < 5; part++) peer.raw("x".repeat(4_000));
  await s.settle(peer);
});

for (const [name, line] of Object.entries({
  get: "GET / HTTP/1.1\r\nHost: localhost\r\n\r\nstatus\n",
  post: "POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 7\r\n\r\nstatus\n",
  "host-header": "Host: localhost\r\n",
})) {
  scenario(`http-${name}`, async (s) => {
    const [peer] = await s.open("peer");
    peer.raw(line);
    await s.settle(peer);
  });
}
