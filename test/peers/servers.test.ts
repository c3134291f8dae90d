import { existsSync } from "node:fs";
import { createConnection } from "node:net";
import { expect, test } from "vitest";
import { describeWith } from "./needs.ts";
import { serverUnderTest, startGearmand, startServer } from "./servers.ts";

function ask(port: number, line: string): Promise<string> {
  return new Promise((answer, fail) => {
    const socket = createConnection(port, "127.0.0.1", () => socket.write(line));
    socket.once("data", (chunk) => {
      socket.destroy();
      answer(String(chunk));
    });
    socket.once("error", fail);
  });
}

describeWith(["gearmand"], "a gearmand of the tests", () => {
  test("answers on its port with its arguments and leaves nothing behind", async () => {
    const server = await startGearmand("--verbose=WARNING");
    expect(await ask(server.port, "verbose\n")).toBe("OK WARNING\n");
    expect(await ask(server.port, "getpid\n")).toBe(`OK ${server.pid}\n`);
    await server.stop();
    expect(server.isRunning()).toBe(false);
    expect(existsSync(server.folder)).toBe(false);
    await expect(ask(server.port, "version\n")).rejects.toThrow("ECONNREFUSED");
  });

  test("that cannot start says why", async () => {
    await expect(startGearmand("--no-such-option")).rejects.toThrow("no-such-option");
  });
});

test("the server under test answers on its port and stops", async () => {
  const server = await startServer(serverUnderTest);
  expect(await ask(server.port, "getpid\n")).toBe(`OK ${server.pid}\n`);
  await server.stop();
  expect(server.isRunning()).toBe(false);
});
