import { expect, it } from "vitest";
import { stage } from "./stage.ts";

it("what an administrator does, and what he tries in vain, is in the audit log", async () => {
  const { url, logged } = await stage();
  await fetch(`${url}/functions/f/jobs`, { method: "POST", body: "w", headers: { prefer: "respond-async" } });
  expect((await fetch(`${url}/functions/f/pause`, { method: "POST" })).status).toBe(204);
  expect((await fetch(`${url}/dead-letters/H:x:1/requeue`, { method: "POST" })).status).toBe(404);
  const acts = logged
    .map((line) => JSON.parse(line) as [string, object])
    .filter(([, fields]) => "audit" in fields);
  expect(acts.map(([, fields]) => fields)).toMatchObject([
    { code: "ADMIN_ACT", identity: "anyone", act: "pause", target: "f", from: "127.0.0.1", result: "OK" },
    { code: "ADMIN_ACT", act: "requeue", target: "H:x:1", result: "HTTP 404" },
  ]);
});
