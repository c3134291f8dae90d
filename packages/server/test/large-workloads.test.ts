import { encodePacket, PacketType, REQ } from "@drover/protocol";
import { describe, expect, it } from "vitest";
import { type TestPeer, TestServer } from "./harness.ts";

/** Larger than what is joined, with every byte telling its place. */
const LARGE = Array.from({ length: 100_000 }, (_, i) => String.fromCharCode((i * 7 + (i >> 8)) & 0xff)).join(
  "",
);

function bytes(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

/** Sends a packet as a socket would give it to the server: in chunks that end anywhere. */
function sendCut(
  peer: TestPeer,
  type: number,
  args: readonly string[],
  data: string,
  cuts: readonly number[],
): void {
  const packet = encodePacket(REQ, type, args, bytes(data));
  let from = 0;
  for (const cut of [...cuts, packet.length]) {
    peer.bytes(packet.slice(from, cut));
    from = cut;
  }
}

const CUTS: readonly (readonly number[])[] = [[65_536], [10, 65_536], [30_000, 60_000, 99_990], [3_000]];

describe.each(CUTS)("a workload and a result of 100,000 bytes, cut at %s", (...cuts) => {
  it("pass through whole, for one submitter and for several", () => {
    for (const submitters of [1, 2]) {
      const server = new TestServer();
      const worker = server.worker("f");
      const clients = Array.from({ length: submitters }, () => server.connect());
      for (const client of clients) sendCut(client, PacketType.SUBMIT_JOB, ["f", "u"], LARGE, cuts);
      expect(server.state.workloadBytes).toBe(LARGE.length);
      worker.send("GRAB_JOB_UNIQ");
      const handle = server.state.handles.text(0);
      worker.expect(`JOB_ASSIGN_UNIQ ${handle} f u ${LARGE}`);
      sendCut(worker, PacketType.WORK_DATA, [handle], LARGE, cuts);
      sendCut(worker, PacketType.WORK_COMPLETE, [handle], LARGE, cuts);
      for (const client of clients) {
        client.expect(
          `JOB_CREATED ${handle}`,
          `WORK_DATA ${handle} ${LARGE}`,
          `WORK_COMPLETE ${handle} ${LARGE}`,
        );
      }
      expect(server.state.workloadBytes).toBe(0);
    }
  });

  it("are the same job for the unique -, however they were cut", () => {
    const server = new TestServer();
    const client = server.connect();
    sendCut(client, PacketType.SUBMIT_JOB_BG, ["f", "-"], LARGE, cuts);
    sendCut(client, PacketType.SUBMIT_JOB_BG, ["f", "-"], LARGE, []);
    expect(server.state.jobs.size).toBe(1);
  });

  it("survive the loss of a worker, and an echo", () => {
    const server = new TestServer();
    const client = server.connect();
    sendCut(client, PacketType.SUBMIT_JOB, ["f", ""], LARGE, cuts);
    const first = server.worker("f");
    first.send("GRAB_JOB");
    first.disconnect();
    const second = server.worker("f");
    second.send("GRAB_JOB");
    second.expect(`JOB_ASSIGN ${server.state.handles.text(0)} f ${LARGE}`);
    client.got();
    sendCut(client, PacketType.ECHO_REQ, [], LARGE, cuts);
    client.expect(`ECHO_RES ${LARGE}`);
  });
});

it("a large packet whose arguments reach beyond its first piece is understood all the same", () => {
  const server = new TestServer();
  const client = server.connect();
  sendCut(client, PacketType.SUBMIT_JOB, ["f".repeat(5_000), "u"], LARGE, [100, 3_000]);
  expect(client.got()).toEqual(["ERROR ARGUMENT_TOO_LARGE Function name too large"]);
});
