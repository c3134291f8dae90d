import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startServer, type TestServer } from "../../../test/peers/servers.ts";

const packages = resolve(import.meta.dirname, "../..");

/** Runs the program that a package's README shows, against this server. */
function runProgramOf(name: string, server: TestServer) {
  const readme = readFileSync(join(packages, name, "README.md"), "utf8");
  const program = /```ts\n([\s\S]*?)```/.exec(readme)![1]!.replaceAll("localhost:4730", server.address);
  const child = spawn(process.execPath, ["--input-type=module-typescript", "--eval", program], {
    cwd: join(packages, name),
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.on("data", (chunk) => {
    output += chunk;
  });
  return { child, exited: once(child, "exit"), output: () => output };
}

describe("the programs of the client's and the worker's README", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startServer("drover");
  });
  afterAll(() => server?.stop());

  it("work together as they stand", async () => {
    const worker = runProgramOf("worker", server);
    while (!worker.output().includes("ready")) await once(worker.child.stdout, "data");
    const client = runProgramOf("client", server);
    const [code] = await client.exited;
    expect(code).toBe(0);
    const lines = client.output().trim().split("\n");
    expect(lines.slice(0, 5)).toEqual(["created", "status", "data", "complete", "olleh"]);
    expect(lines[5]).toMatch(/^H:/);
    worker.child.kill("SIGTERM");
    expect(await worker.exited).toEqual([0, null]);
  });
});
