import { chmodSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { resolve } from "node:path";
import { Client, QueueFull, ServerRefused, Unauthenticated } from "@drover/client";
import { bytesOf, encodePacket, PacketType, REQ } from "@drover/protocol";
import { Worker } from "@drover/worker";
import { describe, expect, test } from "vitest";
import { drover, findProgram, run, type Serving, stage, until } from "./running.ts";

/* The real server with authentication, as clients, workers and administrators meet it. */

const at = stage();

const IDENTITIES = `
    shop:    { submit: ["resize", "mail.*"] }
    imaging: { work: ["resize"] }
    ops:     { admin: true }
    watcher: { status: true }
    tight:   { submit: ["*"], limits: { submissionsPerS: 1, burst: 2 } }
    small:   { submit: ["*"], limits: { maxJobs: 1 } }
    single:  { submit: ["*"], limits: { maxConnections: 1 } }
`;

interface Guarded {
  readonly server: Serving;
  readonly config: string;
  readonly tokens: string;
  readonly port: string;
  readonly servers: string;
  /** Makes a token and gives its text. */
  token(identity: string, ...more: string[]): Promise<string>;
  /** Writes another drover.yaml. */
  configure(identities: string, more?: string): void;
}

async function guarded(identities = IDENTITIES, more = "", ...args: string[]): Promise<Guarded> {
  const config = at.folder.file("drover.yaml");
  const tokens = at.folder.file("tokens");
  const configure = (inner: string, rest = "") =>
    writeFileSync(config, `auth:\n  tokens: ${tokens}\n  identities:${inner}\n${rest}`);
  configure(identities, more);
  await drover(["token", "create", "shop", "--config", config, "--file", tokens]);
  const server = await at.serve("--config", config, "--verbose", "DEBUG", ...args);
  return {
    server,
    config,
    tokens,
    port: String(server.port),
    servers: `127.0.0.1:${server.port}`,
    configure,
    token: async (identity, ...options) => {
      const made = await drover(["token", "create", identity, "--config", config, ...options]);
      expect(made.stderr).toContain(`of ${identity}`);
      const text = made.stdout.trim();
      await until("the server knows the token", async () => {
        const { stdout } = await drover(["token", "list", "--config", config]);
        return stdout.includes(text.split("_")[1]!) && (await isTaken(server.port, text));
      });
      return text;
    },
  };
}

/** Sends bytes and gives what came until the server closes, or has answered an echo behind them. */
function exchange(port: number | string, ...packets: Uint8Array[]): Promise<string> {
  return new Promise((resolve) => {
    let received = "";
    const socket = connect(typeof port === "number" ? { port, host: "127.0.0.1" } : { path: port });
    socket.on("connect", () => {
      for (const packet of packets) socket.write(packet);
      socket.write(encodePacket(REQ, PacketType.ECHO_REQ, [], bytesOf("the end")));
    });
    socket.on("data", (chunk) => {
      received += chunk.toString("latin1");
      if (received.endsWith("the end")) socket.destroy();
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(received));
  });
}

const auth = (token: string) => encodePacket(REQ, PacketType.OPTION_REQ, [`drover.auth:${token}`]);
const isTaken = async (port: number, token: string) =>
  (await exchange(port, auth(token))).includes("drover.auth");

function auditEntries({ stderr }: Serving): Record<string, unknown>[] {
  return stderr()
    .split("\n")
    .filter((line) => line.includes('"audit":true'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe("drover token", () => {
  test("prints a new token once and alone, lists without secrets, and revokes", async () => {
    const file = at.folder.file("tokens");
    const made = await drover([
      "token",
      "create",
      "shop",
      "--expires",
      "90d",
      "--note",
      "web 1",
      "--file",
      file,
    ]);
    expect(made.stdout).toMatch(/^drover_[0-9a-f]{12}_[\w-]{43}\n$/);
    const [, id, secret] = /^drover_([0-9a-f]{12})_(.{43})\n$/.exec(made.stdout)!;
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const listed = await drover(["token", "list", "--file", file]);
    expect(listed.stdout).toMatch(new RegExp(`${id} +shop +valid +.* +web 1\n`));
    const json = await drover(["token", "list", "--json", "--file", file]);
    expect(JSON.parse(json.stdout)).toMatchObject([{ id, identity: "shop", state: "valid", note: "web 1" }]);
    expect((await drover(["token", "revoke", id!, "--file", file])).code).toBe(0);
    expect((await drover(["token", "list", "--file", file])).stdout).toContain("revoked");
    for (const text of [listed.stdout, json.stdout, made.stderr, readFileSync(file, "utf8")]) {
      expect(text).not.toContain(secret);
    }
  });

  test("says what is wrong", async () => {
    const file = at.folder.file("tokens");
    const config = at.folder.file("drover.yaml");
    writeFileSync(config, `auth: { tokens: ${file}, identities: { shop: {} } }\n`);
    const wrong = async (...args: string[]) => {
      const { code, stderr } = await drover(["token", ...args]);
      expect(code).toBe(2);
      return stderr;
    };
    expect(await wrong("list")).toContain("name the file of tokens: --file FILE");
    expect(await wrong("list", "--file", file)).toContain(
      `TOKEN_UNREADABLE: cannot use the file of tokens ${file} (ENOENT)`,
    );
    expect(await wrong("create", "shpo", "--config", config)).toContain('has no "shpo"; did you mean shop?');
    expect(await wrong("create", "shop", "--expires", "soon", "--file", file)).toContain("is no duration");
    await drover(["token", "create", "shop", "--file", file]);
    expect(await wrong("revoke", "nothing", "--file", file)).toContain("TOKEN_UNKNOWN");
    chmodSync(file, 0o644);
    expect(await wrong("list", "--file", file)).toContain(`chmod 600 ${file}`);
  });
});

describe("a server with authentication", () => {
  test("gives a stranger nothing", async () => {
    const { server, port, servers } = await guarded();
    const refused = "UNAUTHENTICATED";
    expect(await exchange(server.port)).toContain("the end");
    expect(await exchange(server.port, auth("drover_0123456789ab_wrong"))).toContain(
      "The token is not valid",
    );
    for (const packet of [
      encodePacket(REQ, PacketType.SUBMIT_JOB_BG, ["resize", "u"], bytesOf("w")),
      encodePacket(REQ, PacketType.CAN_DO, ["resize"]),
      encodePacket(REQ, PacketType.GRAB_JOB),
      encodePacket(REQ, PacketType.GET_STATUS, ["H:1"]),
      bytesOf("status\r\n"),
      bytesOf("workers\n"),
    ]) {
      const answer = await exchange(server.port, packet);
      expect(answer).toContain(refused);
      expect(answer).not.toContain("the end");
    }
    const client = new Client({ servers });
    await expect(client.submit("resize", "w").result()).rejects.toThrow(Unauthenticated);
    await client.close();
    const status = await drover(["status", "-p", port]);
    expect([status.code, status.stderr]).toEqual([1, expect.stringContaining("set DROVER_TOKEN")]);
    const submit = await drover(["submit", "-p", port, "-f", "resize", "w"]);
    expect([submit.code, submit.stderr]).toEqual([2, expect.stringContaining("UNAUTHENTICATED")]);
  });

  test("lets identities do what they may: client, worker, status, administration", async () => {
    const at4730 = await guarded();
    const { server, servers, port } = at4730;
    const [shop, imaging, ops] = [
      await at4730.token("shop"),
      await at4730.token("imaging"),
      await at4730.token("ops"),
    ];
    const worker = new Worker({ servers, token: imaging });
    worker.handle("resize", (job) => Buffer.from(job.workload).reverse());
    await worker.run();
    const client = new Client({ servers, token: shop });
    expect(Buffer.from(await client.submit("resize", "abc").result()).toString()).toBe("cba");
    await expect(client.submit("secret", "abc").result()).rejects.toThrow(
      new ServerRefused("submission of secret", "FORBIDDEN", "Right submit:secret is missing"),
    );
    const env = { DROVER_TOKEN: shop };
    const submitted = await drover(["submit", "-p", port, "-f", "resize", "xyz"], { env });
    expect([submitted.code, submitted.stdout]).toEqual([0, "zyx"]);
    const tokenFile = at.folder.file("ops.token");
    writeFileSync(tokenFile, `${ops}\n`);
    const status = await drover(["status", "-p", port, "--token-file", tokenFile]);
    expect([status.code, status.stdout]).toEqual([0, expect.stringContaining("resize")]);
    const top = await drover(["top", "--once", "--interval", "100ms", "-p", port], {
      env: { DROVER_TOKEN: ops },
    });
    expect([top.code, top.stdout]).toEqual([0, expect.stringContaining("resize")]);
    const forbidden = await drover(["status", "-p", port], { env });
    expect([forbidden.code, forbidden.stderr]).toEqual([
      1,
      expect.stringContaining("FORBIDDEN Right+status"),
    ]);
    const paused = await drover(["admin", "pause", "resize", "-p", port], { env: { DROVER_TOKEN: ops } });
    expect(paused.stdout).toBe("OK\n");
    expect(auditEntries(server)).toMatchObject([
      {
        code: "ADMIN_ACT",
        identity: "ops",
        act: "pause",
        target: "function resize",
        from: "127.0.0.1",
        result: "OK",
      },
    ]);
    await Promise.all([client.close(), worker.close()]);
  });

  test("a worker of another function is told why, and a command that works says it", async () => {
    const { port, token } = await guarded();
    const imaging = await token("imaging");
    const work = at.folder.file("imaging.token");
    writeFileSync(work, imaging);
    const { startDrover } = await import("./running.ts");
    const started = startDrover(["work", "-p", port, "-f", "mail", "--token-file", work]);
    await until("the worker says why", () =>
      started.stderr().includes("FORBIDDEN Right work:mail is missing"),
    );
    started.child.kill("SIGKILL");
    await started.ended;
  });

  test("refuses above the rate and the quota of an identity, and the connection stays", async () => {
    const { servers, token } = await guarded();
    const tight = new Client({ servers, token: await token("tight") });
    const results = await Promise.allSettled([1, 2, 3, 4].map((n) => tight.background("f", String(n))));
    const failures = results
      .filter((result) => result.status === "rejected")
      .map(({ reason }) => reason as Error);
    expect(failures.length).toBeGreaterThan(0);
    for (const failure of failures) expect(failure).toBeInstanceOf(QueueFull);
    await tight.echo();
    await tight.close();
    const small = new Client({ servers, token: await token("small") });
    await small.background("g", "1");
    await expect(small.background("g", "2")).rejects.toThrow(/Quota of unfinished jobs is full/);
    await small.close();
    const single = await token("single");
    const first = new Client({ servers, token: single });
    await first.echo();
    const second = new Client({ servers, token: single });
    await expect(second.echo()).rejects.toThrow(/Too many connections/);
    await Promise.all([first.close(), second.close()]);
  });

  test("a revoked token ends its connections, and its worker's job goes to another", async () => {
    const { server, config, servers, token } = await guarded();
    const [revoked, kept] = [await token("imaging"), await token("imaging")];
    const began = Promise.withResolvers<void>();
    const first = new Worker({ servers, token: revoked, backoff: { initialMs: 5, maxMs: 20 } });
    first.handle("resize", async (job) => {
      began.resolve();
      await new Promise((resolve) => job.signal.addEventListener("abort", resolve));
      return "never";
    });
    await first.run();
    const client = new Client({ servers, token: await token("shop") });
    const result = client.submit("resize", "abc", { unique: "u" }).result();
    await began.promise;
    const second = new Worker({ servers, token: kept });
    second.handle("resize", () => "by the second");
    await second.run();
    const id = revoked.split("_")[1]!;
    expect((await drover(["token", "revoke", id, "--config", config])).code).toBe(0);
    expect(Buffer.from(await result).toString()).toBe("by the second");
    await until("it is logged", () => server.stderr().includes("IDENTITY_ENDED"));
    expect(await isTaken(server.port, revoked)).toBe(false);
    await Promise.all([client.close(), first.close(), second.close()]);
  });

  test("SIGHUP takes other rights into use; what is wrong leaves those that are", async () => {
    const { server, servers, token, configure } = await guarded();
    const client = new Client({ servers, token: await token("shop") });
    await client.background("resize", "w");
    configure('\n    shop: { submit: ["other"] }');
    server.child.kill("SIGHUP");
    await until("it is reloaded", () => server.stderr().includes("reloaded"));
    await expect(client.background("resize", "w")).rejects.toThrow(/Right submit:resize is missing/);
    await client.background("other", "w");
    configure('\n    shop: { sumbit: ["*"] }');
    server.child.kill("SIGHUP");
    await until("it is refused", () => server.stderr().includes("the old one stays"));
    expect(server.stderr()).toContain("did you mean submit?");
    writeFileSync(at.folder.file("drover.yaml"), "");
    server.child.kill("SIGHUP");
    await until("it is refused", () => server.stderr().includes("decided at the start"));
    await expect(client.background("resize", "w")).rejects.toThrow(/FORBIDDEN/);
    await client.close();
  });

  test("no token reaches the log, valid or not, at any level", async () => {
    const { server, servers, port, token } = await guarded();
    const valid = await token("watcher");
    const secret = valid.split("_").slice(2).join("_");
    await exchange(server.port, auth(`${valid.slice(0, -4)}WRNG`));
    await exchange(server.port, encodePacket(REQ, PacketType.ECHO_REQ, [], bytesOf(valid)));
    await exchange(server.port, bytesOf(`${valid}\r\n`), auth(valid));
    await exchange(server.port, auth(valid), bytesOf(`cancel job ${valid.slice(0, 7)}\r\n`));
    await exchange(server.port, encodePacket(REQ, PacketType.SUBMIT_JOB, [valid, valid], bytesOf(valid)));
    const client = new Client({ servers, token: valid });
    await client
      .submit("f", "w")
      .result()
      .catch(() => {});
    await client.close();
    const shown = await drover(["status", "-h", `${valid}@localhost:${port}`]);
    expect(shown.code).toBe(2);
    expect(shown.stderr).toContain("no user, password or token");
    server.child.kill("SIGTERM");
    await server.ended;
    expect(server.stderr()).toContain("UNAUTHENTICATED");
    for (const text of [server.stderr(), server.stdout(), shown.stderr]) {
      expect(text).not.toContain(secret.slice(0, 20));
      expect(text).not.toContain("WRNG");
    }
  });
});

describe("places", () => {
  test("a listener and a Unix socket have identities of their own, for programs that know no tokens", async () => {
    const socket = at.folder.file("drover.sock");
    const identities = `
    local: { submit: ["*"], work: ["*"], status: true, listeners: ["127.0.0.1:0"], sockets: ["${socket}"] }`;
    const { server } = await guarded(
      `${identities}\n    shop: {}`,
      "",
      "-L",
      "127.0.0.1:0",
      "-L",
      `unix:${socket}`,
    );
    const job = encodePacket(REQ, PacketType.SUBMIT_JOB_BG, ["f", ""], bytesOf("w"));
    expect(await exchange(server.port, job)).toContain("the end");
    expect(await exchange(socket, job, bytesOf("status\n"))).toContain("f\t2\t0\t0\n");
    expect(await exchange(socket, bytesOf("drop function f\n"))).toContain(
      "ERR FORBIDDEN Right+admin+is+missing",
    );
    const gearman = findProgram("gearman");
    const gearadmin = findProgram("gearadmin");
    if (gearman === undefined || gearadmin === undefined) return;
    const place = ["-h", "127.0.0.1", "-p", String(server.port)];
    const worker = run([gearman, ...place, "-w", "-c", "1", "-f", "shout", "--", "tr", "a-z", "A-Z"]);
    const client = await run([gearman, ...place, "-f", "shout", "hello"]);
    expect(client.stdout).toBe("HELLO");
    await worker;
    const status = await run([gearadmin, ...place, "--status"]);
    expect(status.stdout).toContain("f\t2\t0\t0\n");
  });

  test("anonymous is everybody else", async () => {
    const { server, token } = await guarded(
      '\n    rest: { submit: ["f"] }\n    shop: { submit: ["*"] }',
      "  anonymous: rest\n",
    );
    const job = (fn: string) => encodePacket(REQ, PacketType.SUBMIT_JOB_BG, [fn, ""], bytesOf("w"));
    expect(await exchange(server.port, job("f"))).not.toContain("FORBIDDEN");
    expect(await exchange(server.port, job("g"))).toContain("Right submit:g is missing");
    expect(await exchange(server.port, auth(await token("shop")), job("g"))).not.toContain("FORBIDDEN");
  });
});

describe("the configuration", () => {
  async function check(yaml: string, ...args: string[]): Promise<string> {
    const file = at.folder.file("drover.yaml");
    writeFileSync(file, yaml);
    const { code, stdout, stderr } = await drover(["config", "check", file, ...args]);
    return `${code} ${stderr}${stdout}`;
  }

  test("says what is wrong, where, and what was probably meant", async () => {
    expect(await check("auth: { identities: { a: { sumbit: [f] } } }")).toContain(
      'unknown key "sumbit" in auth.identities.a; did you mean submit?',
    );
    expect(await check("auth: { identities: { a: { limits: { maxJob: 1 } } } }")).toContain(
      "did you mean maxJobs?",
    );
    expect(await check("auth: { identities: { shop: {} }, anonymous: shpo }")).toContain(
      'there is no identity "shpo"; did you mean shop?',
    );
    expect(await check("auth: { identities: { a: { networks: [10.0.0.0/33] } } }")).toContain(
      '"10.0.0.0/33" is no network',
    );
    expect(await check("auth: { identities: { a: { submit: f } } }")).toContain('"f" is no list of texts');
    expect(await check("auth: { identities: { none: {} } }")).toContain("is no name of an identity");
    expect(await check("auth: {}")).toContain("auth.identities: ");
  });

  test("the example of OPERATING.md is right", async () => {
    const page = readFileSync(resolve(import.meta.dirname, "../../../docs/OPERATING.md"), "utf8");
    const example = [...page.matchAll(/```yaml\n(.*?)```/gs)]
      .map((match) => match[1]!)
      .find((text) => /^auth:/m.test(text));
    const answer = await check(example!);
    expect(answer).toMatch(/^0 .*all right\n$/);
  });

  test("warns of places at which nobody listens", async () => {
    const answer = await check(
      "auth: { identities: { a: { sockets: [/run/x.sock], listeners: [localhost:4731] } } }",
    );
    expect(answer).toMatch(/^0 /);
    expect(answer).toContain("auth.identities.a: the server does not listen on localhost:4731");
    expect(answer).toContain("auth.identities.a: the server does not listen on unix:/run/x.sock");
  });

  test.each([
    ["", "there is no authentication"],
    [
      "auth: { identities: { a: { admin: true } }, anonymous: a }",
      "identity a, which may do everything (auth.anonymous)",
    ],
    [
      'auth: { identities: { a: { submit: ["*"], work: ["*"], networks: ["0.0.0.0/0"] } } }',
      "auth.identities.a.networks",
    ],
    [
      "auth: { identities: { a: { admin: true, listeners: [0.0.0.0:4730] } } }",
      "auth.identities.a.listeners",
    ],
  ])("refuses an exposed address with %j", async (yaml, why) => {
    const answer = await check(yaml, "-L", "0.0.0.0:4730");
    expect(answer).toContain("ADDRESS_EXPOSED");
    expect(answer).toContain(why);
    expect(answer).toContain("--insecure");
    expect(await check(yaml, "-L", "0.0.0.0:4730", "--insecure")).toMatch(/^0 /);
    expect(await check(yaml, "-L", "127.0.0.1:4730")).toMatch(/^0 /);
  });

  test.each([
    "auth: { identities: { a: { admin: true } } }",
    'auth: { identities: { a: { submit: ["*"] } }, anonymous: a }',
    'auth: { identities: { a: { admin: true, networks: ["10.0.0.0/8"] } }, anonymous: none }',
  ])("allows an exposed address with %j", async (yaml) => {
    expect(await check(yaml, "-L", "0.0.0.0:4730")).toMatch(/^0 /);
  });

  test("a server whose file of tokens is not there, or open to others, does not start", async () => {
    const file = at.folder.file("drover.yaml");
    const tokens = at.folder.file("tokens");
    writeFileSync(file, `auth: { tokens: ${tokens}, identities: { shop: {} } }\n`);
    const start = () => drover(["serve", "-p", "0", "--warm-up-ms", "0", "--config", file]);
    expect(await start()).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("drover token create NAME --file"),
    });
    await drover(["token", "create", "shop", "--file", tokens]);
    chmodSync(tokens, 0o640);
    expect(await start()).toMatchObject({ code: 2, stderr: expect.stringContaining(`chmod 600 ${tokens}`) });
  });
});
