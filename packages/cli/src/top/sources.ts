import { printable } from "@drover/protocol";
import type { FunctionJson, OverviewJson, Page } from "@drover/server/api";
import { AdminConnection } from "../admin/admin-connection.ts";
import { functionRows, serverCounts } from "../admin/listings.ts";
import { type CliErrorCode, CommandFailed, UsageError } from "../errors.ts";
import type { Target } from "../server-address.ts";
import type { Sample } from "./rates.ts";

/** Where samples come from. */
export interface Source {
  /** The server, for people. */
  readonly server: string;
  /** @throws When the server does not answer; the next look tries anew. */
  look(): Promise<Sample>;
  close(): void;
}

/** The admin text, over one connection: what every Gearman server has. */
export class AdminSource implements Source {
  readonly server: string;
  readonly #target: Target;
  #admin: AdminConnection | undefined;
  #version: string | undefined;

  constructor(target: Target) {
    this.#target = target;
    this.server = target.address;
  }

  async look(): Promise<Sample> {
    this.#admin ??= await AdminConnection.dial(this.#target);
    const admin = this.#admin;
    try {
      this.#version ??= printable(await admin.ask("version"));
      const rows = await functionRows(admin);
      const counts = await serverCounts(admin);
      return { atMs: performance.now(), version: this.#version, rows, counts };
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close(): void {
    this.#admin?.close();
    this.#admin = undefined;
  }
}

/** Functions that are asked for at a time, and that are shown at most: those with most jobs that wait. */
const MAX_FUNCTIONS = 1_000;
const ANSWER_LIMIT_MS = 15_000;

/** The HTTP API, which knows more: what the dashboard shows. */
export class HttpSource implements Source {
  readonly server: string;
  readonly #headers: Record<string, string>;

  /** @param url Of the server's HTTP port. */
  constructor(url: URL, token: string | undefined) {
    this.server = url.href.replace(/\/$/, "");
    this.#headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  }

  async look(): Promise<Sample> {
    const [overview, functions] = await Promise.all([
      this.#ask<OverviewJson>("overview"),
      this.#ask<Page<FunctionJson>>(`functions?sort=queued&limit=${MAX_FUNCTIONS}`),
    ]);
    const { totals, connections, jobs, waitingSubmissions, deadLetters, rates } = overview;
    return {
      atMs: performance.now(),
      version: printable(overview.version),
      rows: functions.items.map(({ function: name, ...numbers }) => ({ name: printable(name), ...numbers })),
      counts: new Map(
        Object.entries({ ...totals, peers: connections, jobs, waiting: waitingSubmissions, deadLetters }),
      ),
      rates: new Map(Object.entries(rates)),
    };
  }

  close(): void {}

  /** @throws CommandFailed `UNAUTHENTICATED`, `ADMIN_REFUSED`, `SERVER_SILENT` */
  async #ask<T>(path: string): Promise<T> {
    let response: Response;
    let answer: unknown;
    try {
      const signal = AbortSignal.timeout(ANSWER_LIMIT_MS);
      response = await fetch(`${this.server}/v1/${path}`, { headers: this.#headers, signal });
      answer = await response.json();
    } catch (error) {
      const { message, cause } = error as Error;
      const why = cause instanceof Error && cause.message !== "" ? cause.message : message;
      throw new CommandFailed("SERVER_SILENT", `${this.server} gave no answer of Drover's: ${why}`, {
        cause: error,
      });
    }
    if (response.ok) return answer as T;
    const { detail = "" } = answer as { detail?: string };
    const code = CODES[response.status] ?? "SERVER_SILENT";
    throw new CommandFailed(code, `${this.server}: HTTP ${response.status} ${printable(detail, 200)}`);
  }
}

const CODES: Readonly<Record<number, CliErrorCode>> = { 401: "UNAUTHENTICATED", 403: "ADMIN_REFUSED" };

/** Where HTTP is unless it is told: as `drover up` has it. */
const DEFAULT_HTTP = "http://localhost:4780";

/**
 * The address of HTTP, with or without its scheme.
 * @throws UsageError `OPTION_INVALID`
 */
export function httpAddress(text: string): URL {
  const url = URL.parse(/^https?:\/\//.test(text) ? text : `http://${text}`);
  if (url !== null && url.hostname !== "" && url.pathname === "/" && url.search === "") return url;
  throw new UsageError(
    "OPTION_INVALID",
    `--http ${JSON.stringify(text)} is no address: write http://HOST:PORT or https://HOST`,
  );
}

/**
 * The source to look at: HTTP where it is named, the admin text where only a Gearman address is, and where nothing is
 * named whichever of the two answers on this machine.
 */
export async function openSource(
  http: string | undefined,
  target: Target,
  isNamed: boolean,
): Promise<Source> {
  if (http !== undefined) return new HttpSource(httpAddress(http), target.token);
  if (!isNamed) {
    const source = new HttpSource(new URL(DEFAULT_HTTP), target.token);
    if (await answers(source)) return source;
  }
  return new AdminSource(target);
}

async function answers(source: Source): Promise<boolean> {
  try {
    await source.look();
    return true;
  } catch {
    return false;
  }
}
