import { readFileSync, writeFileSync } from "node:fs";
import https from "node:https";
import { text } from "node:stream/consumers";
import tls from "node:tls";
import { afterEach, beforeEach, expect, it } from "vitest";
import { CertificateAuthority } from "../../../test/peers/certificates.ts";
import { describeWith } from "../../../test/peers/needs.ts";
import { drover, type Serving, stage, until } from "./running.ts";

describeWith(["openssl"], "drover serve with TLS", () => {
  const { serve, folder } = stageOfTest();
  let authority: CertificateAuthority;
  beforeEach(async () => {
    authority = await CertificateAuthority.create();
  });
  afterEach(() => authority.dispose());

  it("speaks Gearman, HTTP and the dashboard over TLS, and reads certificates again at SIGHUP", async () => {
    const first = await authority.issueForLocalhost();
    const [certificate, key] = [folder().file("cert.pem"), folder().file("key.pem")];
    const install = ({ cert, key: secret }: { cert: string; key: string }) => {
      writeFileSync(certificate, cert);
      writeFileSync(key, secret);
    };
    install(first);
    const files = ["--tls-certificate", certificate, "--tls-key", key];
    const server = await serve("--tls", "127.0.0.1:0", "--https", "127.0.0.1:0", ...files);
    const { port, https: httpsPort } = portsOf(server);
    const env = { NODE_EXTRA_CA_CERTS: authority.root.files.certificate };
    const status = await drover(["admin", "--server-version", "-h", `tls://localhost:${port}`], { env });
    expect([status.stderr, status.stdout]).toEqual(["", expect.stringContaining("drover")]);
    const page = await get(httpsPort, "/", authority.root.cert);
    expect(page).toMatchObject({ status: 200, body: expect.stringContaining("<!doctype html>") as string });

    const second = await authority.issueForLocalhost();
    install(second);
    server.child.kill("SIGHUP");
    await until(
      "the new certificate is shown",
      async () => (await shown(port)) === (await serial(second.cert)),
    );
    writeFileSync(certificate, "no certificate");
    server.child.kill("SIGHUP");
    await until("the log says which file is no good", () => server.stderr().includes("cert.pem"));
    expect(await shown(port)).toBe(await serial(second.cert));
    server.child.kill("SIGTERM");
    expect(await server.ended).toBe(0);
  });

  it("says what is missing", async () => {
    const run = await drover(["serve", "--tls", "127.0.0.1:0"]);
    expect(run.code).toBe(2);
    expect(run.stderr).toContain("name --tls-certificate and --tls-key");
    const half = await drover(["serve", "--https", "127.0.0.1:0", "--tls-key", "key.pem"]);
    expect(half.stderr).toContain("--tls-certificate and --tls-key go together");
  });

  it("refuses a public address of HTTPS without authentication", async () => {
    const { files } = await authority.issueForLocalhost();
    const args = ["--https", "0.0.0.0:0", "--tls-certificate", files.certificate, "--tls-key", files.key];
    const run = await drover(["serve", "-p", "0", ...args]);
    expect(run.code).toBe(2);
    expect(run.stderr).toContain("ADDRESS_EXPOSED");
  });
});

function stageOfTest() {
  const here = stage();
  return { serve: here.serve, folder: () => here.folder };
}

function portsOf({ readyFile }: Serving): { port: number; https: number } {
  const { listeners, http } = JSON.parse(readFileSync(readyFile, "utf8")) as {
    listeners: { transport: string; port: number }[];
    http: string[];
  };
  const secure = listeners.find(({ transport }) => transport === "tls")!;
  return { port: secure.port, https: Number(http[0]!.split(":").at(-1)) };
}

function get(port: number, path: string, ca: string): Promise<{ status: number | undefined; body: string }> {
  return new Promise((resolve, reject) => {
    https
      .get({ host: "localhost", port, path, ca }, (response) => {
        text(response).then((body) => resolve({ status: response.statusCode, body }), reject);
      })
      .on("error", reject);
  });
}

/** Serial number of the certificate that a port shows. */
function shown(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ host: "127.0.0.1", port, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerX509Certificate()!.serialNumber);
      socket.destroy();
    });
    socket.on("error", reject);
  });
}

async function serial(cert: string): Promise<string> {
  const { X509Certificate } = await import("node:crypto");
  return new X509Certificate(cert).serialNumber;
}
