import { once } from "node:events";
import { chmodSync, readdirSync, readFileSync } from "node:fs";
import { type IncomingMessage, request } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { pkt, pktFlush } from "../../src/forge/pkt-line.ts";
import { run, Stage } from "./stage.ts";

describe("git over HTTP and by path", () => {
  let stage: Stage;

  beforeAll(async () => {
    stage = await Stage.start();
    await stage.forge.createProject("app");
    await stage.forge.createProject("group/app");
  });
  afterAll(() => stage.end());

  const get = (path: string, init: RequestInit = {}) => fetch(`${stage.url}${path}`, init);

  test("reading needs no token, and every write does, on loopback too", async () => {
    expect((await get("/git/app.git/info/refs?service=git-upload-pack")).status).toBe(200);
    for (const authorization of [
      undefined,
      "Basic",
      "Basic !!",
      `Basic ${btoa("alice:wrong")}`,
      `Basic ${btoa("alice:drover_000000000000_0000000000000000000000000000000000000000000")}`,
      `Basic ${btoa(`bob:${stage.tokens.get("alice")}`)}`,
      "Bearer x",
    ]) {
      const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
      const refs = await get("/git/app.git/info/refs?service=git-receive-pack", { headers });
      expect(refs.status, authorization).toBe(401);
      expect(refs.headers.get("www-authenticate")).toBe('Basic realm="drover", charset="UTF-8"');
      const push = await get("/git/app.git/git-receive-pack", { method: "POST", headers, body: "0000" });
      expect(push.status, authorization).toBe(401);
    }
    const token = `Bearer ${stage.tokens.get("alice")}`;
    const refs = await get("/git/app.git/info/refs?service=git-receive-pack", {
      headers: { authorization: token },
    });
    expect(refs.status).toBe(200);
    expect(refs.headers.get("content-type")).toBe("application/x-git-receive-pack-advertisement");
  });

  test("a token that was revoked or whose user went is none, and no token is ever logged", async () => {
    const { users } = stage.forge;
    expect(users.add("carol")).toBe("user");
    const { id, text: shown } = users.createToken("carol", { note: "laptop" });
    expect(users.authenticate(shown)).toEqual({ name: "carol", role: "user" });
    expect(users.authenticate(shown, "bob")).toBeUndefined();
    users.revokeToken(id);
    expect(users.authenticate(shown)).toBeUndefined();
    const second = users.createToken("carol", { expiresMs: Date.now() - 1 });
    expect(users.authenticate(second.text)).toBeUndefined();
    const third = users.createToken("carol");
    users.remove("carol");
    expect(users.authenticate(third.text)).toBeUndefined();
    expect([users.add("dora", "operator"), users.add("dora"), users.add("dora", "user")]).toEqual([
      "operator",
      "operator",
      "user",
    ]);
    users.remove("dora");
    expect(() => users.createToken("carol")).toThrow("USER_UNKNOWN");
    expect(() => users.revokeToken("nothing")).toThrow("TOKEN_UNKNOWN");
    for (const name of ["", "a b", "-x", "x".repeat(65), "a:b", "a/b"])
      expect(() => users.add(name, "user")).toThrow("USER_INVALID");
    expect(JSON.stringify(stage.logged)).not.toContain("drover_");
  });

  test("nothing but git's smart protocol is served, and no path leaves the folder", async () => {
    for (const path of [
      "/git/app.git/HEAD",
      "/git/app.git/config",
      "/git/app.git/objects/info/packs",
      "/git/app.git/info/refs",
      "/git/app.git/info/refs?service=git-upload-archive",
      "/git/app.git/git-upload-pack",
      "/git/.drover/hook.cjs",
      "/git/../gate.db",
      "/git/%2e%2e/gate.db",
      "/git/app.git/..%2fgroup/app.git/info/refs?service=git-upload-pack",
      "/git/group/../app.git/info/refs?service=git-upload-pack%00",
      "/git//app.git/info/refs?service=git-upload-pack",
      "/git/nothing.git/info/refs?service=git-upload-pack",
      "/git/group.git/info/refs?service=git-upload-pack",
    ])
      expect((await get(path)).status, path).toBe(404);
    expect((await get("/git/group/app.git/info/refs?service=git-upload-pack")).status).toBe(200);
  });

  test("a body that is packed is read, and one that is nonsense harms nobody", async () => {
    const want = Buffer.concat([
      pkt("command=ls-refs\n"),
      Buffer.from("0001"),
      pkt("ref-prefix refs/heads/\n"),
      pktFlush,
    ]);
    const post = (body: Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}) =>
      get("/git/app.git/git-upload-pack", {
        method: "POST",
        headers: {
          "content-type": "application/x-git-upload-pack-request",
          "git-protocol": "version=2",
          ...headers,
        },
        body,
      });
    expect(await (await post(Buffer.from(want))).text()).toContain("refs/heads/main");
    expect(await (await post(Buffer.from(gzipSync(want)), { "content-encoding": "gzip" })).text()).toContain(
      "refs/heads/main",
    );
    const nonsense = await post(Buffer.from("nonsense"));
    expect(await nonsense.text()).not.toContain("refs/heads/main");
    expect((await post(Buffer.from(want))).status).toBe(200);
  });

  test("a push by path shows its token, as a push option or in the environment", async () => {
    const clone = await stage.clone("app", "alice");
    await clone.commit("By path", { p: "1" });
    const path = join(stage.repositories, "app.git");
    const token = stage.tokens.get("alice")!;
    const push = (env: Record<string, string>, ...options: string[]) =>
      run(clone.folder, ["push", ...options, path, "HEAD:refs/for/main"], "alice", env);
    expect((await push({})).text).toContain(
      "a push needs a token: set DROVER_TOKEN, or give it as git push -o token=…",
    );
    expect((await push({ DROVER_TOKEN: "wrong" })).text).toContain("the token is not valid");
    // What the gate says of pushes over HTTP cannot be said by others.
    expect((await push({ REMOTE_USER: "root", DROVER_PUSH: "root" })).text).toContain("a push needs a token");
    const taken = await push({}, "-o", `token=${token}`);
    expect(taken.code, taken.text).toBe(0);
    expect(taken.text).toContain("is new: By path");
    expect(taken.text).not.toContain(token);
    await clone.amend(undefined, { p: "2" });
    const { number } = stage.forge.changes({ project: "app" })[0]!;
    expect((await push({ DROVER_TOKEN: token }, "-o", `change=${number}`)).text).toContain("has revision 2");
    expect(stage.forge.change(number)!.owner).toBe("alice");
  });

  test("while the gate is down nothing is taken, and the push says what to do", async () => {
    const clone = await stage.clone("app", "alice");
    await clone.commit("Early", { e: "1" });
    const token = stage.tokens.get("root")!;
    await stage.close();
    const push = (...refspecs: string[]) =>
      run(clone.folder, ["push", join(stage.repositories, "app.git"), ...refspecs], "root", {
        DROVER_TOKEN: token,
      });
    const said = await push("HEAD:refs/for/main", "HEAD:refs/heads/main", "HEAD:refs/tags/t");
    expect(said.code).not.toBe(0);
    expect(said.text).toContain(
      "The gate of this repository does not answer, so nothing was taken.\nStart it (drover gate up), and push again.",
    );
    expect(said.text.match(/\[remote rejected\]/g)).toHaveLength(3);
    await stage.open();
    expect([...(await stage.forge.branches("app")).keys()]).toEqual(["main"]);
    expect((await push("HEAD:refs/for/main")).code).toBe(0);
  });

  test("a hook that is gone lets nothing through, and the next start brings it back", async () => {
    const clone = await stage.clone("app", "alice");
    await clone.commit("Hooked", { h: "1" });
    const hook = join(stage.repositories, ".drover/hooks/proc-receive");
    expect(readFileSync(hook, "utf8")).toContain(process.execPath);
    chmodSync(hook, 0o644);
    expect((await clone.push("refs/for/main", "HEAD:refs/heads/main")).code).not.toBe(0);
    expect((await clone.push("refs/for/main")).code).not.toBe(0);
    await stage.close();
    await stage.open();
    expect((await clone.push("refs/for/main")).code).toBe(0);
    expect(readdirSync(join(stage.repositories, ".drover")).sort()).toEqual([
      "gate.sock",
      "hook.cjs",
      "hooks",
      "making",
    ]);
  });
});

describe("git over HTTP", () => {
  test("asks for a token to read, where it is told to, and serves so many at a time", async () => {
    const stage = await Stage.start({}, { readsNeedToken: true, limits: { maxRequests: 0 } });
    try {
      await stage.forge.createProject("app");
      const refs = `${stage.url}/git/app.git/info/refs?service=git-upload-pack`;
      expect((await fetch(refs)).status).toBe(401);
      const busy = await fetch(refs, { headers: { authorization: `Bearer ${stage.tokens.get("bob")}` } });
      expect([busy.status, busy.headers.get("retry-after")]).toEqual([503, "1"]);
    } finally {
      await stage.end();
    }
  });

  test("ends what says too much of what it has, and what takes too long", async () => {
    const stage = await Stage.start({}, { limits: { maxFetchBytes: 10, requestTimeoutMs: 500 } });
    try {
      await stage.forge.createProject("app");
      const url = `${stage.url}/git/app.git`;
      const upload = (body: string | ReadableStream) =>
        fetch(`${url}/git-upload-pack`, {
          method: "POST",
          headers: { "content-type": "application/x-git-upload-pack-request" },
          body,
          duplex: "half",
        });
      const large = await upload("0000".repeat(3));
      expect([large.status, await large.text()]).toEqual([
        413,
        expect.stringContaining("a request to git-upload-pack may have 10 bytes"),
      ]);
      // Of a body whose length is not known beforehand, git may have begun to answer.
      const unknown = await upload(new Blob(["0000".repeat(3)]).stream())
        .then(async (response) => [response.status, await response.text()][0])
        .catch(() => 0);
      expect([0, 502]).toContain(unknown);
      const slow = request(`${url}/git-receive-pack`, {
        method: "POST",
        auth: `alice:${stage.tokens.get("alice")}`,
        headers: { "content-type": "application/x-git-receive-pack-request", "content-length": "100" },
      });
      slow.on("error", () => {});
      slow.write("00");
      const [answer] = (await once(slow, "response")) as [IncomingMessage];
      await expect(text(answer)).rejects.toThrow("aborted");
      slow.destroy();
      expect((await fetch(`${url}/info/refs?service=git-upload-pack`)).status).toBe(200);
    } finally {
      await stage.end();
    }
  });
});
