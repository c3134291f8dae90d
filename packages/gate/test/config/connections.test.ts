import { describe, expect, test } from "vitest";
import { DEFAULT_SUBJECT, type MailFacts, parseTenants, subjectText } from "../../src/index.ts";
import { load, tenantOf } from "./memory-source.ts";

const TENANT = `
- connection:
    name: mail
    driver: smtp
    server: mail.example.com
    port: 587
    default_from: gate@example.com
    default_to: team@example.com
    user: gate
    password-file: keys/mail.password
    use_starttls: true
- tenant:
    name: main
    source: {local: {config-projects: [config]}}
- connection:
    name: hook
    driver: webhook
    url: https://example.com/hooks/drover
    secret-file: keys/hook.key
- connection:
    name: pager
    driver: command
    command: [/usr/local/bin/page, --quiet]
    timeout: 5
    max-output: 100
`;

/** What is wrong with a pipeline's success reporters. */
async function toldOf(success: string, tenant = TENANT): Promise<string[]> {
  const pipeline = `- pipeline:\n    name: check\n    manager: independent\n    success:\n      ${success}\n`;
  const { told } = await load({ config: { main: { "zuul.yaml": pipeline } } }, tenantOf(tenant));
  return told.map((one) => one.replace(/^config main zuul\.yaml/, ""));
}

const problemsOf = (text: string): string[] =>
  parseTenants(text).problems.map(({ line, message }) => `${line} ${message}`);

describe("connections of the tenant file", () => {
  test("are all of the file's tenants', wherever they stand, with Zuul's defaults", () => {
    const { connections } = tenantOf(TENANT);
    expect([...connections!.values()]).toEqual([
      {
        ...{ driver: "smtp", name: "mail", server: "mail.example.com", port: 587, timeoutMs: 60_000 },
        ...{ defaultFrom: "gate@example.com", defaultTo: "team@example.com", useStarttls: true },
        ...{ user: "gate", passwordFile: "keys/mail.password" },
      },
      {
        ...{ driver: "webhook", name: "hook", url: "https://example.com/hooks/drover" },
        ...{ secretFile: "keys/hook.key", timeoutMs: 30_000 },
      },
      {
        ...{ driver: "command", name: "pager", argv: ["/usr/local/bin/page", "--quiet"] },
        ...{ timeoutMs: 5_000, maxOutputBytes: 100 },
      },
    ]);
    const plain = tenantOf("- connection: {name: mail, driver: smtp}\n- tenant: {name: main}\n");
    expect(plain.connections!.get("mail")).toMatchObject({
      ...{ server: "localhost", port: 25, defaultFrom: "zuul", defaultTo: "zuul", useStarttls: false },
      ...{ user: null, passwordFile: null },
    });
  });

  test.each([
    ["{name: x}", "1 a connection has a name and a driver, which is one of: command, webhook, smtp"],
    ["{name: x, driver: smpt}", 'there is no driver "smpt" to report by; did you mean "smtp"?'],
    ["{name: local, driver: smtp}", "the connection local is the gate's own repositories"],
    ["{name: x, driver: command}", "1 command: a command is a list of words"],
    ["{name: x, driver: command, command: page}", "1 command: a command is a list of words"],
    ["{name: x, driver: command, command: [page], timeout: 0}", "1 timeout: at least one second"],
    ["{name: x, driver: webhook, url: ftp://example.com}", "1 url: it is no http:// or https:// address"],
    ["{name: x, driver: webhook, url: 'https://a:b@example.com'}", "1 url: a name or password in it"],
    ["{name: x, driver: webhook, url: 'https://example.com', sekret-file: y}", 'unknown key "sekret-file"'],
    ["{name: x, driver: smtp, password: hunter2}", "1 password: write it to a file, and name that with"],
    ["{name: x, driver: smtp, user: gate}", "1 user and password-file go together: one is missing"],
    ["{name: x, driver: smtp, password-file: y}", "1 user and password-file go together: one is missing"],
    [
      "{name: x, driver: smtp, server: mail.example.com, user: gate, password-file: y}",
      "1 user: its password would go in clear; set use_starttls: true, or port: 465",
    ],
    [
      '{name: x, driver: smtp, default_to: "a\\nBcc: b"}',
      "1 default_to: an address has no control characters",
    ],
  ])("%s is refused", (item, message) => {
    const [first, ...more] = problemsOf(`- connection: ${item}\n- tenant: {name: main}\n`);
    expect(first).toContain(message);
    expect(more).toEqual([]);
  });

  test("no two have one name", () => {
    const one = "- connection: {name: mail, driver: smtp}\n";
    expect(problemsOf(one + one)).toEqual(["2 there are two connections mail"]);
  });
});

describe("reporters of pipelines", () => {
  test("name connections, with what a mail's are to be", async () => {
    const text =
      "- pipeline: {name: check, manager: independent, success: {local: {vote: 1}, mail: {to: a@example.com, subject: '{change} passed'}, hook: {}, pager: }}\n";
    const { layout, told } = await load({ config: { main: { "zuul.yaml": text } } }, tenantOf(TENANT));
    expect(told).toEqual([]);
    const none = { driver: "connection", to: null, from: null, subject: null, line: 1 };
    expect(layout.reportersOf("check", "success").actions).toEqual([
      { driver: "local", vote: 1, comment: true, merge: false },
      { ...none, connection: "mail", to: "a@example.com", subject: "{change} passed" },
      { ...none, connection: "hook" },
      { ...none, connection: "pager" },
    ]);
  });

  test("one of a connection that there is not is told at its line", async () => {
    expect(await toldOf("mial: {to: a@example.com}")).toEqual([
      ':5 pipeline check reports to mial, which is no connection of the tenant file; did you mean "mail"?',
    ]);
  });

  test("what is for mails is for no other driver", async () => {
    expect(await toldOf("hook: {to: a@example.com}")).toEqual([
      ":5 pipeline check reports to hook with to, from or subject, which are for the driver smtp",
    ]);
    expect((await toldOf("mail: {too: a@example.com}"))[0]).toContain('unknown key "too"');
  });

  test("allowed-reporters are names of connections", async () => {
    const only = (names: string): string =>
      TENANT.replace("name: main", `name: main\n    allowed-reporters: ${names}`);
    expect(await toldOf("mail: {}", only("[local]"))).toEqual([
      ":1 pipeline check: the tenant does not allow the reporter mail",
    ]);
    expect(await toldOf("mail: {}", only("[mail]"))).toEqual([]);
  });

  test.each([
    ["{change.nummer}", "there is no placeholder {change.nummer}"],
    ["{change", "the brace { stands alone"],
    ["change}", "the brace } stands alone"],
  ])("the subject %s is refused", async (subject, message) => {
    expect((await toldOf(`mail: {subject: "${subject}"}`))[0]).toContain(`:5 success: subject: ${message}`);
  });
});

describe("a mail's subject", () => {
  const facts: MailFacts = {
    ...{ pipeline: "check", project: "app", branch: "main", ref: "refs/changes/12/3", result: "success" },
    change: {
      ...{ name: "12,3", number: "12", revision: "3", title: "Add a parser", owner: "alice", topic: "" },
      url: "https://gate.example.com/changes/12",
    },
  };

  test("is filled in with what the report is about", () => {
    expect(subjectText(DEFAULT_SUBJECT, facts)).toBe("Report for change 12,3 against refs/changes/12/3");
    expect(subjectText("[{pipeline.name}] {change.subject} ({change.owner}) {{x}}", facts)).toBe(
      "[check] Add a parser (alice) {x}",
    );
  });

  test("of a ref names the ref", () => {
    const { change: _, ...ofRef } = { ...facts, ref: "refs/heads/main" };
    expect(subjectText("{change} of {project}: {change.number}", ofRef)).toBe("refs/heads/main of app: ");
  });

  test("is one line, and what a title holds is not filled in again", () => {
    const change = { ...facts.change!, title: "{change.owner}\r\nBcc: x" };
    expect(subjectText("{change.subject}", { ...facts, change })).toBe("{change.owner} Bcc: x");
  });
});
