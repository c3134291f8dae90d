import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, it } from "vitest";
import { startServer } from "../../../test/peers/servers.ts";

const folder = resolve(import.meta.dirname, "..");

it("the program of the cache's README works as it stands, with a backend", async () => {
  const server = await startServer("drover");
  try {
    const readme = readFileSync(join(folder, "README.md"), "utf8");
    const program = /```ts\n([\s\S]*?)```/
      .exec(readme)![1]!
      .replaceAll("localhost:4730", server.address)
      .replace(
        'import { backend } from "./backend.ts";',
        'import { Memory } from "./test/memory.ts";\nconst backend = new Memory();',
      );
    const child = spawn(process.execPath, ["--input-type=module-typescript", "--eval", program], {
      cwd: folder,
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    child.stdout.on("data", (chunk) => {
      output += chunk;
    });
    expect(await once(child, "exit")).toEqual([0, null]);
    expect(output).toBe("1000 calls, 1 computation\nvalue\n");
  } finally {
    await server.stop();
  }
});
