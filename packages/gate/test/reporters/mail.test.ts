import { type AddressInfo, createServer } from "node:net";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { CertificateAuthority } from "../../../../test/peers/certificates.ts";
import { describeWith } from "../../../../test/peers/needs.ts";
import type { SmtpConnection } from "../../src/index.ts";
import { deliverByMail } from "../../src/reporters/mail.ts";
import { bodyOf, ReporterStage } from "./stage.ts";

const ID = "0a64c1f5-0000-4000-8000-000000000000";

interface Received {
  readonly from: string;
  readonly to: readonly string[];
  readonly text: string;
}

let stage: ReporterStage;
const servers: SMTPServer[] = [];
let received: Received[];
const place = () => ({
  ...{ folder: stage.folder, signal: new AbortController().signal },
  nowMs: Date.now,
});

beforeEach(() => {
  stage = new ReporterStage();
  received = [];
});
afterEach(async () => {
  for (const server of servers.splice(0)) await new Promise<void>((resolve) => server.close(() => resolve()));
  stage.end();
});

/** A mail server that takes everything. */
async function listen(options: SMTPServerOptions = {}): Promise<number> {
  const made = new SMTPServer({
    ...{ authOptional: true, disabledCommands: ["STARTTLS"], logger: false },
    onData(stream, session, done) {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => {
        const { mailFrom, rcptTo } = session.envelope;
        received.push({
          from: mailFrom === false ? "" : mailFrom.address,
          to: rcptTo.map(({ address }) => address),
          text: Buffer.concat(chunks).toString(),
        });
        done();
      });
    },
    ...options,
  });
  servers.push(made);
  const listening = made.listen(0, "127.0.0.1");
  await new Promise<void>((resolve) => listening.once("listening", resolve));
  return (listening.address() as AddressInfo).port;
}

const smtp = (port: number, more: Partial<SmtpConnection> = {}): SmtpConnection => ({
  ...{ driver: "smtp", name: "mail", server: "127.0.0.1", port, user: null, passwordFile: null },
  ...{
    defaultFrom: "zuul@example.com",
    defaultTo: "team@example.com",
    useStarttls: false,
    timeoutMs: 10_000,
  },
  ...more,
});
const letter = (mail = { to: null as string | null, from: null as string | null, subject: "Report" }) => ({
  body: bodyOf(ID, "mail"),
  mail,
});

test("a report is mailed from and to the connection's addresses, with an id that stays the same", async () => {
  const port = await listen();
  for (let attempt = 0; attempt < 2; attempt++) await deliverByMail(smtp(port), ID, letter(), place());
  const [first, second] = received as [Received, Received];
  expect(first).toMatchObject({ from: "zuul@example.com", to: ["team@example.com"] });
  expect(first.text).toContain("Subject: Report\r\n");
  expect(first.text).toContain("Build succeeded.");
  expect(first.text).toContain("Auto-Submitted: auto-generated\r\n");
  const idOf = ({ text }: Received): string | undefined => /^Message-ID: (.*)\r$/m.exec(text)?.[1];
  expect(idOf(first)).toBe(`<${ID}@abc.drover.invalid>`);
  expect(idOf(second)).toBe(idOf(first));
});

test("a reporter's own addresses and subject are used, and a subject is one line", async () => {
  const port = await listen();
  const mail = {
    to: "a@example.com, b@example.com",
    from: "gate@example.com",
    subject: "x\r\nBcc: c@example.com",
  };
  await deliverByMail(smtp(port), ID, letter(mail), place());
  expect(received).toMatchObject([{ from: "gate@example.com", to: ["a@example.com", "b@example.com"] }]);
  expect(received[0]!.text).not.toMatch(/^Bcc:/m);
});

test("it gives a user with the password of the file, and tells neither when that fails", async () => {
  const port = await listen({
    ...{ authOptional: false, allowInsecureAuth: true },
    onAuth({ username, password }, _session, done) {
      if (username === "gate" && password === "hunter2") done(null, { user: username });
      else done(new Error(`${password} is wrong`));
    },
  });
  const connection = smtp(port, { user: "gate", passwordFile: stage.write("password", "hunter2\n") });
  await deliverByMail(connection, ID, letter(), place());
  expect(received).toHaveLength(1);
  stage.write("password", "hunter3\n");
  const said = await deliverByMail(connection, ID, letter(), place()).catch((error: Error) => error.message);
  expect(said).toBe(`127.0.0.1:${port} did not take the mail: 535 to AUTH`);
});

test("a mail that is refused is a failure that tells the server's answer", async () => {
  const port = await listen({
    onRcptTo: (_address, _session, done) =>
      done(Object.assign(new Error("no such user"), { responseCode: 550 })),
  });
  await expect(deliverByMail(smtp(port), ID, letter(), place())).rejects.toThrow(
    `127.0.0.1:${port} did not take the mail: 550 to RCPT`,
  );
});

test("use_starttls sends nothing to a server that does not encrypt, nor to one that nobody vouches for", async () => {
  const write = { user: "gate", passwordFile: stage.write("password", "hunter2\n"), useStarttls: true };
  const seen: string[] = [];
  const port = await listen();
  await expect(deliverByMail(smtp(port, write), ID, letter(), place())).rejects.toThrow(
    "did not take the mail",
  );
  // Its certificate is one that it has signed itself.
  const onAuth: SMTPServerOptions["onAuth"] = ({ password }, _session, done) => {
    seen.push(password ?? "");
    done(null, { user: "gate" });
  };
  const selfSigned = await listen({ disabledCommands: [], authOptional: false, onAuth });
  await expect(deliverByMail(smtp(selfSigned, write), ID, letter(), place())).rejects.toThrow(
    /did not take the mail: .*certificate/,
  );
  expect([received, seen]).toEqual([[], []]);
});

describeWith(["openssl"], "a server that somebody vouches for", () => {
  test("is given user and mail with use_starttls, encrypted", async () => {
    const authority = await CertificateAuthority.create();
    const trusted = getCACertificates("default");
    onTestFinished(async () => {
      setDefaultCACertificates(trusted);
      await authority.dispose();
    });
    const { cert, key } = await authority.issueForLocalhost();
    const seen: unknown[] = [];
    const onAuth: SMTPServerOptions["onAuth"] = ({ password }, { secure }, done) => {
      seen.push([password, secure]);
      done(null, { user: "gate" });
    };
    const port = await listen({ cert, key, disabledCommands: [], authOptional: false, onAuth });
    const passwordFile = stage.write("password", "hunter2\n");
    const connection = smtp(port, { server: "localhost", user: "gate", passwordFile, useStarttls: true });
    await expect(deliverByMail(connection, ID, letter(), place())).rejects.toThrow(/certificate/);
    setDefaultCACertificates([...trusted, authority.root.cert]);
    await deliverByMail(connection, ID, letter(), place());
    expect(seen).toEqual([["hunter2", true]]);
    expect(received).toHaveLength(1);
  });
});

test("a server that says nothing is waited for no longer than the time-out, nor than the gate lives, and is left then", async () => {
  const left: Promise<unknown>[] = [];
  const silent = createServer((socket) => {
    left.push(new Promise((resolve) => socket.on("close", resolve)));
    socket.on("error", () => {});
    socket.resume();
    // A word now and then, of an answer that never ends.
    const drip = setInterval(() => socket.write("220-wait\r\n"), 20);
    socket.on("close", () => clearInterval(drip));
  });
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const { port } = silent.address() as AddressInfo;
  const slow = smtp(port, { timeoutMs: 200 });
  await expect(deliverByMail(slow, ID, letter(), place())).rejects.toThrow(/./);
  const ending = new AbortController();
  const broken = deliverByMail(smtp(port), ID, letter(), { ...place(), signal: ending.signal });
  await vi.waitFor(() => expect(left).toHaveLength(2), 30_000);
  ending.abort();
  await expect(broken).rejects.toThrow("the gate ends");
  await Promise.all(left);
  await new Promise((resolve) => silent.close(resolve));
});

test("a server that is not there is told by its address", async () => {
  const port = await listen();
  await new Promise<void>((resolve) => servers.pop()!.close(() => resolve()));
  await expect(deliverByMail(smtp(port), ID, letter(), place())).rejects.toThrow(
    `127.0.0.1:${port} did not take the mail: ECONNREFUSED`,
  );
});
