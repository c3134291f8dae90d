import { encodePacket, Found, PacketStream, PacketType, REQ } from "@drover/protocol";
import { dial } from "@drover/transport";

/** The server's packets to it are of the size of what is echoed. */
const LIMITS = { maxBodyBytes: 1024 * 1024, maxLineBytes: 1024 };

/**
 * A worker that gives each job of the function `echo` its workload back, and does nothing else, so that it takes as little as
 * can be of the cores that it shares with the server that is measured.
 * @param grabs Jobs that it has at a time: so many grabs are under way.
 * @returns How to stop it.
 */
export async function startEchoWorker(address: string, grabs: number): Promise<() => Promise<void>> {
  const connection = await dial(address);
  const stream = new PacketStream(LIMITS);
  const grab = encodePacket(REQ, PacketType.GRAB_JOB);
  const sleep = encodePacket(REQ, PacketType.PRE_SLEEP);
  const over = Promise.withResolvers<void>();
  let underWay = 0;
  let sleeps = false;
  connection.attach({
    data: (bytes) => {
      const answers: Uint8Array[] = [];
      stream.push(bytes);
      while (stream.next() === Found.PACKET) {
        if (stream.type === PacketType.JOB_ASSIGN) {
          const body = stream.bytes.subarray(stream.start, stream.end);
          const handleEnd = body.indexOf(0);
          const workload = body.indexOf(0, handleEnd + 1) + 1;
          const handle = String.fromCharCode(...body.subarray(0, handleEnd));
          answers.push(encodePacket(REQ, PacketType.WORK_COMPLETE, [handle], body.subarray(workload)), grab);
          sleeps = false;
        } else if (stream.type === PacketType.NO_JOB) {
          underWay--;
        } else if (stream.type === PacketType.NOOP) {
          for (; underWay < grabs; underWay++) answers.push(grab);
          sleeps = false;
        }
      }
      if (!sleeps && underWay < grabs) {
        answers.push(sleep);
        sleeps = true;
      }
      if (answers.length > 0) connection.send([Buffer.concat(answers)]);
    },
    drain: () => {},
    close: () => over.resolve(),
  });
  connection.send([encodePacket(REQ, PacketType.CAN_DO, ["echo"]), ...Array<Uint8Array>(grabs).fill(grab)]);
  underWay = grabs;
  return () => {
    connection.destroy();
    return over.promise;
  };
}
