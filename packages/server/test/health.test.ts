import { describe, expect, it } from "vitest";
import { until } from "../../../test/peers/until.ts";
import { HttpServer } from "../src/http/http-server.ts";
import { JobServer } from "../src/index.ts";
import { MemoryStore } from "../src/stores/memory.ts";
import { LOG, operate } from "./operator-stage.ts";

const reasonsOf = async (response: Response) =>
  ((await response.json()) as { reasons: { reason: string }[] }).reasons.map(({ reason }) => reason);

describe("/healthz and /readyz", () => {
  it("say yes while the server runs", async () => {
    const at = await operate();
    const health = await at.get("/healthz");
    expect(health.status).toBe(200);
    expect(await health.json()).toEqual({
      status: "ok",
      version: "1.2.3",
      uptimeSeconds: expect.any(Number),
      phase: "running",
      store: "none",
    });
    const ready = await at.get("/readyz");
    expect(ready.status).toBe(200);
    expect(await ready.json()).toEqual({ ready: true, reasons: [] });
  });

  it("say that jobs are being taken back, and nothing else is answered", async () => {
    let mayLoad = () => {};
    const store = new MemoryStore();
    const loads = new Promise<void>((resolve) => {
      mayLoad = resolve;
    });
    store.load = async function* () {
      await loads;
      yield [];
    };
    let starting: JobServer | undefined;
    const started = JobServer.start({
      version: "1.2.3",
      log: LOG,
      listen: ["127.0.0.1:0"],
      store,
      onStarting: (server) => {
        starting = server;
      },
    });
    const server = await until("the server is there", 20_000, () => starting);
    const http = await HttpServer.start({ server, log: LOG, listen: ["127.0.0.1:0"] });
    const get = (path: string, init?: RequestInit) => fetch(`http://${http.addresses[0]}${path}`, init);
    try {
      const ready = await until("it takes jobs back", 20_000, async () => {
        const response = await get("/readyz");
        return (await reasonsOf(response.clone())).includes("restoring") ? response : undefined;
      });
      expect(ready.status).toBe(503);
      expect(await (await get("/healthz")).json()).toMatchObject({ phase: "restoring", store: "ok" });
      expect((await get("/metrics")).status).toBe(200);
      const refused = await get("/v1/functions/f/jobs", { method: "POST", body: "x" });
      expect(refused.status).toBe(503);
      expect(await refused.json()).toMatchObject({ type: "/v1/problems/starting", retryable: true });
      mayLoad();
      await started;
      expect((await get("/readyz")).status).toBe(200);
    } finally {
      mayLoad();
      await http.close();
      await (await started).stop(0);
    }
  });

  it("name a store that fails, and that it works again", async () => {
    const store = new MemoryStore();
    const commit = store.commit.bind(store);
    let isFull = true;
    store.commit = (one) => (isFull ? Promise.reject(new Error("/secret/place is full")) : commit(one));
    const at = await operate({ store });
    await expect(at.client().background("f", "")).rejects.toMatchObject({ code: "QUEUE_FULL" });
    const ready = await at.get("/readyz");
    expect(ready.status).toBe(503);
    expect(await ready.clone().text()).not.toContain("secret");
    expect(await reasonsOf(ready)).toEqual(["store-failing"]);
    expect(await (await at.get("/healthz")).json()).toMatchObject({ status: "ok", store: "failing" });
    isFull = false;
    await until("it is ready again", 20_000, async () => (await at.get("/readyz")).status === 200);
  });

  it("name a store that another server has taken over", async () => {
    const store = new MemoryStore();
    store.commit = () => Promise.reject(Object.assign(new Error("taken"), { code: "STORE_IN_USE" }));
    const at = await operate({ store });
    void at
      .client()
      .background("f", "")
      .catch(() => {});
    await until("it is told", 20_000, async () =>
      (await reasonsOf(await at.get("/readyz"))).includes("store-lost"),
    );
  });

  it("name a server that drains, and one that ends", async () => {
    const at = await operate();
    const client = at.client();
    await client.background("f", "");
    const drained = at.server.drain();
    const draining = await at.get("/readyz");
    expect(draining.status).toBe(503);
    expect(await reasonsOf(draining)).toEqual(["draining"]);
    const stopped = at.server.stop(0);
    expect(await reasonsOf(await at.get("/readyz"))).toEqual(["stopping"]);
    await stopped;
    void drained;
    expect(await (await at.get("/healthz")).json()).toMatchObject({ status: "ok", phase: "stopping" });
  });
});
