import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { describeWith } from "../../../test/peers/needs.ts";
import { startServer } from "../../../test/peers/servers.ts";
import { startMemcached } from "../../../test/peers/stores.ts";

const folder = resolve(import.meta.dirname, "..");

describeWith(["memcached"], "the program of the cache's README", () => {
  test("works as it stands", async () => {
    const [server, store] = await Promise.all([startServer("drover"), startMemcached()]);
    try {
      const readme = readFileSync(join(folder, "README.md"), "utf8");
      const program = /```ts\n([\s\S]*?)```/
        .exec(readme)![1]!
        .replaceAll("localhost:4730", server.address)
        .replaceAll("localhost:11211", store.address);
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
      await Promise.all([server.stop(), store.remove()]);
    }
  });
});
