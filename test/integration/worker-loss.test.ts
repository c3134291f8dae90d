import { afterEach, beforeEach, expect, test } from "vitest";
import { describeWith } from "../peers/needs.ts";
import { serverUnderTest, startServer, type TestServer } from "../peers/servers.ts";
import { untilStatus, untilWaiting } from "./admin.ts";
import { Gate } from "./gate.ts";
import { languages, peerOf, type Running, startClient, startWorker } from "./programs.ts";

/** The result a client program told, whatever else it told. */
const complete = (lines: readonly string[]) => lines.filter((line) => line.startsWith("complete "));

for (const language of languages) {
  describeWith(
    [peerOf[language], "libgearman"],
    `a ${language} worker that is killed with a job in hand`,
    () => {
      let server: TestServer;
      let started: Running[];
      beforeEach(async () => {
        server = await startServer(serverUnderTest);
        started = [];
      });
      afterEach(async () => {
        await Promise.all(started.map((one) => one.kill()));
        await server.stop();
      });

      test("is followed by another, and every submitter is served", async () => {
        const gate = new Gate();
        const doomed = await startWorker(language, server, "doomed", "hold");
        started.push(doomed);
        const first = await startClient("c", server, "run", "normal", "hold", gate.folder, "key");
        started.push(first);
        expect(await gate.started()).toBe("doomed");
        const second = await startClient("c", server, "run", "normal", "hold", gate.folder, "key");
        started.push(second);
        await untilWaiting(server, "key", 2);
        await doomed.kill("SIGKILL");
        await untilStatus(server, "hold", "no run", (status) => status.running === 0 && status.workers === 0);
        started.push(await startWorker("c", server, "heir", "hold"));
        expect(await gate.started(2)).toBe("heir");
        gate.open();
        for (const client of [first, second]) {
          expect(complete((await client.ended).lines)).toEqual(["complete held by heir"]);
        }
        expect(gate.starts()).toEqual(["doomed", "heir"]);
      });

      test("wakes a worker that sleeps", async () => {
        const gate = new Gate();
        const doomed = await startWorker(language, server, "doomed", "hold");
        started.push(doomed);
        const client = await startClient("c", server, "run", "normal", "hold", gate.folder, "key");
        started.push(client);
        expect(await gate.started()).toBe("doomed");
        started.push(await startWorker("c", server, "heir", "hold"));
        await doomed.kill("SIGKILL");
        expect(await gate.started(2)).toBe("heir");
        gate.open();
        expect(complete((await client.ended).lines)).toEqual(["complete held by heir"]);
      });

      test("leaves its background job to another", async () => {
        const gate = new Gate();
        const doomed = await startWorker(language, server, "doomed", "hold");
        started.push(doomed);
        const client = await startClient("c", server, "background", "normal", "hold", gate.folder, "key");
        expect((await client.ended).code).toBe(0);
        expect(await gate.started()).toBe("doomed");
        await doomed.kill("SIGKILL");
        started.push(await startWorker("c", server, "heir", "hold"));
        expect(await gate.started(2)).toBe("heir");
        gate.open();
        await untilStatus(server, "hold", "no job", (status) => status.total === 0);
      });
    },
  );
}
