import { copyFile, truncate, writeFile } from "node:fs/promises";
import https from "node:https";
import net from "node:net";
import { join } from "node:path";
import tls from "node:tls";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { CertificateAuthority, type Issued } from "../../../test/peers/certificates.ts";
import { describeWith } from "../../../test/peers/needs.ts";
import { until } from "../../../test/peers/until.ts";
import { alternativeNames } from "../src/certificate.ts";
import {
  type Connection,
  dial,
  type Listener,
  listen,
  listenTls,
  MAX_TLS_FILE_BYTES,
  TlsFiles,
  type TlsFilesOptions,
  type TlsListenOptions,
  TransportError,
} from "../src/index.ts";
import { connectionConformance, Recorder } from "./conformance.ts";

describe("alternative names", () => {
  it("are those of kinds URI, DNS and email", () => {
    expect(alternativeNames("DNS:a.test, IP Address:127.0.0.1, URI:spiffe://x/y, email:a@b.test")).toEqual([
      "a.test",
      "spiffe://x/y",
      "a@b.test",
    ]);
    expect(alternativeNames("")).toEqual([]);
  });

  it("cannot pose as several", () => {
    expect(alternativeNames('URI:"http://x, DNS:admin", DNS:b')).toEqual(["http://x, DNS:admin", "b"]);
    expect(alternativeNames('othername:"a\\", DNS:admin", DNS:b')).toEqual(["b"]);
  });

  it("count for nothing in a text that is not understood", () => {
    expect(alternativeNames('DNS:a, URI:"never closed, DNS:admin')).toEqual([]);
  });
});

describeWith(["openssl"], "TLS", () => {
  let authority: CertificateAuthority;
  let server: Issued;
  const cleanups: (() => Promise<unknown> | unknown)[] = [];
  beforeAll(async () => {
    authority = await CertificateAuthority.create();
    server = await authority.issueForLocalhost();
  });
  afterAll(() => authority.dispose());
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  async function listening(
    files: Partial<TlsFilesOptions> = {},
    options: TlsListenOptions & { onConnection?: (connection: Connection) => void } = {},
  ): Promise<{ listener: Listener; address: string; files: TlsFiles; accepted: Connection[] }> {
    const loaded = await TlsFiles.load({ certificates: [server.files], ...files });
    const accepted: Connection[] = [];
    const listener = await listenTls(
      "127.0.0.1:0",
      loaded,
      (connection) => {
        accepted.push(connection);
        connection.attach(new Recorder());
        options.onConnection?.(connection);
        cleanups.push(() => connection.destroy());
      },
      options,
    );
    cleanups.push(() => listener.close());
    return { listener, address: `tls://127.0.0.1:${listener.address.port}`, files: loaded, accepted };
  }

  /** Connected, and a first byte went each way, so that the server has judged the client. */
  async function greeted(address: string, options: Parameters<typeof dial>[1]): Promise<Connection> {
    const near = await dial(address, options);
    cleanups.push(() => near.destroy());
    const told = new Recorder();
    near.attach(told);
    near.send([Buffer.from("?")]);
    await told.until(() => told.bytes > 0 || told.closes > 0);
    if (told.closes > 0) throw told.error ?? new Error("closed");
    return near;
  }
  const greets = { onConnection: (connection: Connection) => void connection.send([Buffer.from("!")]) };
  const trusting = () => ({ ca: authority.root.cert });

  connectionConformance("TLS", async (nearHandlers, farHandlers) => {
    const files = await TlsFiles.load({ certificates: [server.files] });
    const { promise: accepted, resolve: accept } = Promise.withResolvers<Connection>();
    const listener = await listenTls("127.0.0.1:0", files, (connection) => {
      connection.attach(farHandlers);
      accept(connection);
    });
    const near = await dial(`tls://127.0.0.1:${listener.address.port}`, { tls: trusting() });
    near.attach(nearHandlers);
    return { near, far: await accepted, dispose: () => listener.close() };
  });

  it("tells addresses, and whose certificates were verified", async () => {
    const { listener, address, accepted } = await listening();
    const near = await dial(address, { tls: trusting() });
    near.attach(new Recorder());
    expect(listener.address).toMatchObject({ transport: "tls", address: "127.0.0.1" });
    expect(near.peer).toEqual({
      transport: "tls",
      address: "127.0.0.1",
      port: listener.address.port,
      certificate: { subject: "CN=localhost", names: ["localhost"] },
    });
    await until("the server has it", 5_000, () => accepted.length === 1);
    expect(accepted[0]!.peer).toMatchObject({ transport: "tls", address: "127.0.0.1" });
    expect(accepted[0]!.peer.certificate).toBeUndefined();
    near.destroy();
  });

  it("dialling trusts nobody whose certificate proves nothing, unless told to", async () => {
    const { address } = await listening();
    await expect(dial(address)).rejects.toMatchObject({
      code: "CERTIFICATE_INVALID",
      message: expect.stringContaining(address) as string,
    });
    await expect(dial(address, { tls: { ...trusting(), servername: "other.test" } })).rejects.toMatchObject({
      code: "CERTIFICATE_INVALID",
    });
    const near = await dial(address, { tls: { insecure: true } });
    near.attach(new Recorder());
    expect(near.peer.certificate).toBeUndefined();
    near.destroy();
  });

  it("dialling says when there is no TLS, or nobody", async () => {
    const plain = await listen("127.0.0.1:0", (connection) => {
      connection.attach(new Recorder());
      connection.send([Buffer.from("no TLS here, none at all")]);
      connection.end();
    });
    const address = `tls://127.0.0.1:${plain.address.port}`;
    await expect(dial(address)).rejects.toMatchObject({ code: "TLS_FAILED" });
    await plain.close();
    await expect(dial(address)).rejects.toMatchObject({ code: "CONNECTION_REFUSED" });
    await expect(dial(address, { tls: { ca: "nonsense", cert: "nonsense" } })).rejects.toMatchObject({
      code: "TLS_FAILED",
    });
  });

  it("takes nothing older than TLS 1.2", async () => {
    const failures: TransportError[] = [];
    const { listener } = await listening({}, { onHandshakeFailure: (error) => failures.push(error) });
    const old = tls.connect({
      ...{ host: "127.0.0.1", port: listener.address.port, rejectUnauthorized: false },
      ...{ minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" },
    });
    cleanups.push(() => old.destroy());
    await expect(new Promise((_, reject) => old.once("error", reject))).rejects.toThrow();
    await until("the server tells", 5_000, () => failures.length === 1);
    expect(failures[0]).toBeInstanceOf(TransportError);
    expect(failures[0]).toMatchObject({ code: "TLS_FAILED" });
  });

  it("a required client certificate is verified, and says who the client is", async () => {
    const { address, accepted } = await listening({ clientCa: [authority.root.files.certificate] }, greets);
    const client = await authority.issue({
      subject: "/O=Acme/CN=printer",
      names: "URI:spiffe://acme/printer,email:printer@acme.test,DNS:printer.acme.test,IP:10.0.0.1",
    });
    const { cert, key } = client;
    await greeted(address, { tls: { ...trusting(), cert, key } });
    expect(accepted[0]!.peer.certificate).toEqual({
      subject: "O=Acme, CN=printer",
      names: ["spiffe://acme/printer", "printer@acme.test", "printer.acme.test"],
    });

    const nameless = await authority.issue({ subject: "/CN=plotter", names: "IP:10.0.0.2" });
    await greeted(address, { tls: { ...trusting(), cert: nameless.cert, key: nameless.key } });
    expect(accepted[1]!.peer.certificate).toEqual({ subject: "CN=plotter", names: ["plotter"] });

    await expect(greeted(address, { tls: trusting() })).rejects.toMatchObject({ code: "CONNECTION_LOST" });
    const stranger = await strangersCertificate();
    await expect(greeted(address, { tls: { ...trusting(), ...stranger } })).rejects.toThrow();
    expect(accepted).toHaveLength(2);
  });

  async function strangersCertificate(): Promise<{ cert: string; key: string }> {
    const other = await CertificateAuthority.create("Another Root");
    cleanups.push(() => other.dispose());
    const { cert, key } = await other.issue({ subject: "/CN=printer" });
    return { cert, key };
  }

  it("an optional client certificate may be missing, but not be a stranger's", async () => {
    const failures: TransportError[] = [];
    const { address, accepted } = await listening(
      { clientCa: [authority.root.files.certificate], clientCertificates: "optional" },
      { ...greets, onHandshakeFailure: (error) => failures.push(error) },
    );
    await greeted(address, { tls: trusting() });
    expect(accepted[0]!.peer.certificate).toBeUndefined();
    const { cert, key } = await authority.issue({ subject: "/CN=printer" });
    await greeted(address, { tls: { ...trusting(), cert, key } });
    expect(accepted[1]!.peer.certificate?.names).toEqual(["printer"]);
    const stranger = await strangersCertificate();
    await expect(greeted(address, { tls: { ...trusting(), ...stranger } })).rejects.toThrow();
    expect(accepted).toHaveLength(2);
    expect(failures).toHaveLength(1);
  });

  it("shows the certificate of the name asked for, else the first", async () => {
    const shop = await authority.issue({ subject: "/CN=shop", names: "DNS:shop.test,DNS:*.shop.test" });
    const { address } = await listening({ certificates: [server.files, shop.files] });
    for (const [servername, name] of [
      ["shop.test", "shop.test"],
      ["eu.shop.test", "shop.test"],
      ["localhost", "localhost"],
      [undefined, "localhost"],
    ] as const) {
      const near = await dial(address, { tls: { ...trusting(), ...(servername && { servername }) } });
      near.attach(new Recorder());
      expect(near.peer.certificate?.names[0]).toBe(name);
      near.destroy();
    }
    const stranger = dial(address, { tls: { ...trusting(), servername: "nobody.test" } });
    await expect(stranger).rejects.toMatchObject({ code: "CERTIFICATE_INVALID" });
  });

  it("reload gives new connections the new certificate, named or not, while old connections go on", async () => {
    const files = { certificate: join(authority.folder, "r.crt"), key: join(authority.folder, "r.key") };
    const use = async ({ files: from }: Issued) => {
      await copyFile(from.certificate, files.certificate);
      await copyFile(from.key, files.key);
    };
    await use(await authority.issue({ subject: "/CN=old", names: "DNS:localhost,IP:127.0.0.1" }));
    const { address, files: loaded } = await listening({ certificates: [files] }, greets);
    const subject = async (servername?: string) => {
      const near = await greeted(address, { tls: { ...trusting(), ...(servername && { servername }) } });
      return near.peer.certificate?.subject;
    };
    const early = await greeted(address, { tls: trusting() });
    await use(await authority.issue({ subject: "/CN=new", names: "DNS:localhost,IP:127.0.0.1" }));
    expect(await subject()).toBe("CN=old");
    loaded.reload();
    expect([await subject(), await subject("localhost")]).toEqual(["CN=new", "CN=new"]);
    expect(early.send([Buffer.from("still here")])).toBe(true);
    expect(loaded.expiresAtMs).toBeGreaterThan(Date.now());

    const refused = (what: string) =>
      expect(() => loaded.reload()).toThrow(
        expect.objectContaining({
          code: "TLS_FILE_INVALID",
          message: expect.stringContaining(what) as string,
        }) as Error,
      );
    await copyFile(server.files.key, files.key);
    refused(files.key);
    await writeFile(files.certificate, "nonsense");
    refused(files.certificate);
    await truncate(files.certificate, MAX_TLS_FILE_BYTES + 1);
    refused(`${MAX_TLS_FILE_BYTES}`);
    expect([await subject(), await subject("localhost")]).toEqual(["CN=new", "CN=new"]);
  });

  it("reload takes trust away from clients, also from those that were here before", async () => {
    const ca = join(authority.folder, "clients.crt");
    await copyFile(authority.root.files.certificate, ca);
    const { address, listener, files } = await listening({ clientCa: [ca] }, greets);
    const { cert, key } = await authority.issue({ subject: "/CN=printer" });
    let session: Buffer | undefined;
    const first = tls.connect({
      ...{ host: "127.0.0.1", port: listener.address.port, ...trusting(), cert, key },
      maxVersion: "TLSv1.2",
    });
    cleanups.push(() => first.destroy());
    first.on("session", (given) => {
      session = given;
    });
    await new Promise((resolve) => first.once("data", resolve));
    const other = await CertificateAuthority.create("Another Root");
    cleanups.push(() => other.dispose());
    await copyFile(other.root.files.certificate, ca);
    files.reload();
    await expect(greeted(address, { tls: { ...trusting(), cert, key } })).rejects.toThrow();
    expect(session?.includes("printer") ?? false).toBe(false);
    const again = tls.connect({
      ...{ host: "127.0.0.1", port: listener.address.port, ...trusting(), cert, key },
      ...{ maxVersion: "TLSv1.2", ...(session && { session }) },
    });
    await expect(
      new Promise((resolve, reject) => again.once("data", resolve).once("error", reject)),
    ).rejects.toThrow();
  });

  it("says which file is missing, or what does not fit", async () => {
    const missing = { certificate: "/nonexistent/x.crt", key: server.files.key };
    await expect(TlsFiles.load({ certificates: [missing] })).rejects.toMatchObject({
      code: "TLS_FILE_INVALID",
      message: expect.stringMatching(/\/nonexistent\/x\.crt.*ENOENT/) as string,
    });
    await expect(TlsFiles.load({ certificates: [] })).rejects.toMatchObject({ code: "TLS_FILE_INVALID" });
    const noRoot = { certificates: [server.files], clientCertificates: "optional" } as const;
    await expect(TlsFiles.load(noRoot)).rejects.toMatchObject({ code: "TLS_FILE_INVALID" });
    const folder = { certificate: authority.folder, key: server.files.key };
    await expect(TlsFiles.load({ certificates: [folder] })).rejects.toThrow(/no file/);
  });

  it("cuts who does not finish the handshake, and takes no more than its limit of those", async () => {
    const failures: TransportError[] = [];
    const { listener, address } = await listening(
      { handshakeTimeoutMs: 300 },
      { ...greets, maxHandshakes: 2, onHandshakeFailure: (error) => failures.push(error) },
    );
    const silent = Array.from({ length: 6 }, () => net.connect(listener.address.port, "127.0.0.1"));
    let closed = 0;
    for (const socket of silent) {
      socket.on("error", () => {}).resume();
      socket.once("close", () => closed++);
    }
    await until("all are closed", 10_000, () => closed === silent.length);
    expect(failures).toHaveLength(2);
    expect(failures[0]!.message).toMatch(/TIMEOUT/);
    await Promise.all([1, 2].map(() => greeted(address, { tls: trusting() })));
  });

  it("whoever fails or leaves gives its place back at once", async () => {
    const failures: TransportError[] = [];
    const { listener, address } = await listening(
      { handshakeTimeoutMs: 60_000 },
      { ...greets, maxHandshakes: 1, onHandshakeFailure: (error) => failures.push(error) },
    );
    for (let round = 0; round < 3; round++) {
      const nonsense = net.connect(listener.address.port, "127.0.0.1");
      nonsense.on("error", () => {}).resume();
      const gone = new Promise((resolve) => nonsense.once("close", resolve));
      nonsense.end("GET / HTTP/1.1\r\n\r\n");
      await gone;
      const leaving = net.connect(listener.address.port, "127.0.0.1", () => leaving.end());
      await until("both failures are told", 5_000, () => failures.length === 2 * round + 2);
      await greeted(address, { tls: trusting() });
    }
  });

  it("serves HTTPS too: who is who, and what a reload changes", async () => {
    const files = await TlsFiles.load({
      certificates: [server.files],
      clientCa: [authority.root.files.certificate],
      clientCertificates: "optional",
    });
    const web = https.createServer(files.serverOptions, (request, response) => {
      response.end(String((request.socket as tls.TLSSocket).authorized));
    });
    files.follow(web);
    await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
    cleanups.push(() => {
      web.closeAllConnections();
      web.close();
    });
    const { port } = web.address() as net.AddressInfo;
    const get = (options: https.RequestOptions) =>
      new Promise<string>((resolve, reject) => {
        const request = https.get({ host: "127.0.0.1", port, ...trusting(), agent: false, ...options });
        request.once("response", (response) => {
          response.setEncoding("utf8").once("data", resolve);
        });
        request.once("error", reject);
      });
    expect(await get({})).toBe("false");
    const { cert, key } = await authority.issue({ subject: "/CN=printer" });
    expect(await get({ cert, key })).toBe("true");
    await expect(get(await strangersCertificate())).rejects.toThrow();
    files.reload();
    expect(await get({ cert, key })).toBe("true");
  });

  it("a reset is told as CONNECTION_LOST", async () => {
    const { address, listener } = await listening();
    const proxy = net.createServer((socket) => {
      const onward = net.connect(listener.address.port, "127.0.0.1");
      socket.pipe(onward).on("error", () => {});
      onward.pipe(socket).on("error", () => {});
      socket.on("data", (chunk) => {
        if (chunk.length > 20_000) socket.resetAndDestroy();
      });
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    cleanups.push(() => proxy.close());
    const { port } = proxy.address() as net.AddressInfo;
    const near = await dial(address.replace(/\d+$/, `${port}`), { tls: trusting() });
    const told = new Recorder();
    near.attach(told);
    near.send([Buffer.alloc(1_000_000)]);
    await told.until(() => told.closes > 0);
    expect(told.error).toMatchObject({ code: "CONNECTION_LOST" });
  });
});
