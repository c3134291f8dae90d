import { describe, expect, it } from "vitest";
import { Unauthenticated } from "../src/index.ts";
import { settled } from "./scripted-server.ts";
import { Stage } from "./stage.ts";

const stage = new Stage();
const token = "drover_0123456789ab_secret";

describe("a token", () => {
  it.each(["gearmand", "no options", "drover"] as const)(
    "is shown first, and a server that does not take it (%s) is asked nothing",
    async (speaks) => {
      stage.servers.listen("gm1", speaks);
      const client = stage.clientOf({ token });
      const job = client.submit("f", "w");
      await expect(job.result()).rejects.toThrow(Unauthenticated);
      await expect(client.background("f", "w")).rejects.toThrow(/gm1 does not let us in: it takes no tokens/);
      const peer = await stage.servers.accepted();
      expect(peer.all[0]).toBe(`OPTION_REQ drover.auth:${token}`);
      await settled();
      expect(peer.over).toBe(true);
      expect(peer.all.filter((request) => request.startsWith("SUBMIT"))).toEqual([]);
      expect(JSON.stringify(stage.notices)).not.toContain("secret");
    },
  );

  it("is shown to the next server when the first one does not take it", async () => {
    stage.servers.listen("gm1");
    const client = stage.clientOf({ servers: ["gm1", "gm2"], token, unreachableMs: 50 });
    await expect(client.echo()).rejects.toThrow(/NO_SERVER/);
    expect(stage.servers.dialled.slice(0, 2)).toEqual(["gm1", "gm2"]);
  });

  it("that can be none is refused without being shown", () => {
    for (const wrong of ["", "with space", "line\n", "x".repeat(1025)]) {
      expect(() => stage.clientOf({ token: wrong })).toThrow(
        "token is not 1 to 1,024 visible ASCII characters",
      );
    }
  });
});
