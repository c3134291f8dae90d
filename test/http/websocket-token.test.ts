import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "@drover/client";
import { createToken, Identities } from "@drover/server";
import { Worker } from "@drover/worker";
import { expect, it, onTestFinished } from "vitest";
import { stage } from "./stage.ts";

it("client and worker show their token at the upgrade, where strangers get no WebSocket", async () => {
  const folder = mkdtempSync(join(tmpdir(), "drover-tokens-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const tokenFile = join(folder, "tokens");
  const { text: token } = createToken(tokenFile, { identity: "shop" }, new Date());
  const rights = { submit: ["f"], work: ["f"], status: false, admin: false };
  const log = { debug() {}, info() {}, warn() {}, error() {} } as never;
  const identities = new Identities({ rules: [{ name: "shop", rights }], tokenFile }, log);
  const { http } = await stage({ identities });
  const servers = `ws://${http.addresses[0]}`;
  const worker = new Worker({ servers, token });
  onTestFinished(() => worker.close());
  worker.handle("f", () => "done");
  await worker.run();
  const client = new Client({ servers, token });
  onTestFinished(() => client.close());
  expect(Buffer.from(await client.submit("f", "x").result()).toString()).toBe("done");
});
