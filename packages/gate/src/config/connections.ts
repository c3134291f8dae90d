import * as z from "zod";
import type { FileCheck } from "./check.ts";
import { type ConfigItem, isObject } from "./items.ts";
import { suggestion } from "./nearest.ts";
import { argvSchema, nameSchema } from "./schema.ts";

/** Runs a program of this machine with the report on its standard input. Not in Zuul. */
export interface CommandConnection {
  readonly driver: "command";
  readonly name: string;
  readonly argv: readonly string[];
  /** Default: 30 s. */
  readonly timeoutMs: number;
  /** What it may write before it is ended. Default: 64 KiB. */
  readonly maxOutputBytes: number;
}

/** Posts the report to an HTTP server. Not in Zuul. */
export interface WebhookConnection {
  readonly driver: "webhook";
  readonly name: string;
  readonly url: string;
  /** With the key of the signature; below the gate's folder where it is not absolute. `null`: nothing is signed. */
  readonly secretFile: string | null;
  /** Default: 30 s. */
  readonly timeoutMs: number;
}

/** Sends the report as mail (Zuul's smtp connection). */
export interface SmtpConnection {
  readonly driver: "smtp";
  readonly name: string;
  /** Default: localhost. */
  readonly server: string;
  /** Default: 25. */
  readonly port: number;
  readonly defaultFrom: string;
  readonly defaultTo: string;
  readonly user: string | null;
  /** As a webhook's `secretFile`. */
  readonly passwordFile: string | null;
  /** Whether the server must encrypt what follows. Default: false, and then it is not asked. Port 465 begins encrypted. */
  readonly useStarttls: boolean;
  /** Default: 60 s. */
  readonly timeoutMs: number;
}

/** Where reports go besides the forge; configured in the tenant file, and named by reporters of pipelines. */
export type ReportConnection = CommandConnection | WebhookConnection | SmtpConnection;

export const CONNECTION_DRIVERS = ["command", "webhook", "smtp"] as const;

const timeout = z.int().min(1, "at least one second").max(3_600);
const fileSchema = z.string().min(1, "a file is missing");
/** One mailbox or several, with commas between; what a mail server makes of them is its affair. */
export const addressSchema = z
  .string()
  .min(1, "an address is missing")
  .max(1_000, "addresses have at most 1,000 characters")
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they would end the line of a mail's head.
  .refine((text) => !/[\u0000-\u001f\u007f]/.test(text), "an address has no control characters");

const commandSchema = z.strictObject({
  name: nameSchema,
  driver: z.string(),
  command: argvSchema,
  timeout: timeout.optional(),
  "max-output": z
    .int()
    .min(0)
    .max(16 * 1024 * 1024)
    .optional(),
});

const webhookSchema = z.strictObject({
  name: nameSchema,
  driver: z.string(),
  url: z.string(),
  "secret-file": fileSchema.optional(),
  timeout: timeout.optional(),
});

const smtpSchema = z.strictObject({
  name: nameSchema,
  driver: z.string(),
  server: z.string().min(1).optional(),
  port: z.int().min(1).max(65_535).optional(),
  default_from: addressSchema.optional(),
  default_to: addressSchema.optional(),
  user: z.string().min(1).optional(),
  "password-file": fileSchema.optional(),
  use_starttls: z.boolean().optional(),
  timeout: timeout.optional(),
});

/** An item `connection` of the tenant file; `undefined` when it is wrong, which is then told. */
export function parseConnection(check: FileCheck, item: ConfigItem): ReportConnection | undefined {
  const before = check.problems.length;
  const driver = isObject(item.value) ? item.value.driver : undefined;
  let made: ReportConnection | undefined;
  if (driver === "command") {
    const written = check.shape(item, [], item.value, commandSchema);
    if (written === undefined) return undefined;
    made = {
      driver,
      name: written.name,
      argv: written.command,
      timeoutMs: (written.timeout ?? 30) * 1_000,
      maxOutputBytes: written["max-output"] ?? 64 * 1024,
    };
  } else if (driver === "webhook") {
    const written = check.shape(item, [], item.value, webhookSchema);
    if (written === undefined) return undefined;
    const problem = urlProblem(written.url);
    if (problem !== undefined) check.add(item, ["url"], problem);
    made = {
      driver,
      name: written.name,
      url: written.url,
      secretFile: written["secret-file"] ?? null,
      timeoutMs: (written.timeout ?? 30) * 1_000,
    };
  } else if (driver === "smtp") {
    // Zuul's own file would have it there, and whoever reads this file would have it, too.
    const noPassword = { password: "write it to a file, and name that with password-file" };
    const written = check.shape(item, [], withoutPassword(check, item, noPassword), smtpSchema);
    if (written === undefined) return undefined;
    const { server = "localhost", port = 25, user, use_starttls: useStarttls = false } = written;
    const passwordFile = written["password-file"];
    if ((user === undefined) !== (passwordFile === undefined)) {
      check.add(
        item,
        [user === undefined ? "password-file" : "user"],
        "user and password-file go together: one is missing",
      );
    } else if (user !== undefined && !useStarttls && port !== 465 && !isLoopback(server)) {
      check.add(item, ["user"], "user: its password would go in clear; set use_starttls: true, or port: 465");
    }
    made = {
      driver,
      name: written.name,
      server,
      port,
      defaultFrom: written.default_from ?? "zuul",
      defaultTo: written.default_to ?? "zuul",
      user: user ?? null,
      passwordFile: passwordFile ?? null,
      useStarttls,
      timeoutMs: (written.timeout ?? 60) * 1_000,
    };
  } else if (driver === undefined) {
    check.add(
      item,
      [],
      `a connection has a name and a driver, which is one of: ${CONNECTION_DRIVERS.join(", ")}`,
    );
  } else {
    const near = typeof driver === "string" ? suggestion(driver, CONNECTION_DRIVERS) : "";
    check.add(
      item,
      ["driver"],
      `driver: there is no driver ${JSON.stringify(driver)} to report by${near}; there are: ${CONNECTION_DRIVERS.join(", ")}`,
    );
  }
  if (made?.name === "local")
    check.add(item, ["name"], "name: the connection local is the gate's own repositories");
  return check.problems.length > before ? undefined : made;
}

function withoutPassword(
  check: FileCheck,
  item: ConfigItem,
  refused: Readonly<Record<string, string>>,
): unknown {
  const value = item.value as Readonly<Record<string, unknown>>;
  for (const [key, remedy] of Object.entries(refused))
    if (Object.hasOwn(value, key)) check.add(item, [key], `${key}: ${remedy}`);
  return Object.fromEntries(Object.entries(value).filter(([key]) => !Object.hasOwn(refused, key)));
}

function urlProblem(text: string): string | undefined {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:"))
    return "url: it is no http:// or https:// address";
  if (url.username !== "" || url.password !== "")
    return "url: a name or password in it would be read by whoever reads this file; sign with secret-file instead";
  return undefined;
}

function isLoopback(server: string): boolean {
  return server === "localhost" || server === "::1" || /^127\.\d+\.\d+\.\d+$/.test(server);
}
