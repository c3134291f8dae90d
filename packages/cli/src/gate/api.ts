import { printable } from "@drover/protocol";
import { type CliErrorCode, CommandFailed } from "../errors.ts";
import type { GatePlace } from "./place.ts";

const ANSWER_LIMIT_MS = 30_000;
const CODES: Readonly<Record<number, CliErrorCode>> = { 401: "UNAUTHENTICATED", 403: "ADMIN_REFUSED" };

const WITHOUT_TOKEN =
  "\nshow one of this gate: --token-file FILE, or DROVER_TOKEN; the first is in its folder, operator.token";

/** The gate's API, as a command asks it. */
export class GateApi {
  readonly place: GatePlace;

  constructor(place: GatePlace) {
    this.place = place;
  }

  /** @throws CommandFailed */
  get<T>(path: string, query: Readonly<Record<string, string | number | undefined>> = {}): Promise<T> {
    const words = new URLSearchParams();
    for (const [name, value] of Object.entries(query))
      if (value !== undefined) words.set(name, String(value));
    return this.#json<T>(`${path}${words.size === 0 ? "" : `?${words}`}`, { method: "GET" });
  }

  /** @throws CommandFailed */
  post<T>(path: string, body: unknown = {}): Promise<T> {
    return this.#json<T>(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  }

  /** @throws CommandFailed */
  delete<T>(path: string): Promise<T> {
    return this.#json<T>(path, { method: "DELETE" });
  }

  /**
   * An answer as it is, such as a stream.
   * @throws CommandFailed
   */
  async fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const { url, token } = this.place;
    let response: Response;
    try {
      const headers = {
        ...init.headers,
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      };
      response = await fetch(`${url}/api/gate${path}`, { ...init, headers });
    } catch (error) {
      const { message, cause } = error as Error;
      const why = cause instanceof Error && cause.message !== "" ? cause.message : message;
      throw new CommandFailed(
        "SERVER_SILENT",
        `${url} does not answer: ${why}\nstart a gate with: drover gate up DIR, or name another by --server`,
        { cause: error },
      );
    }
    if (response.ok) return response;
    const { detail = "" } = (await response.json().catch(() => ({}))) as { detail?: string };
    const isElsewhere = response.status === 404 && detail === "there is nothing at this path";
    const why = isElsewhere
      ? `${url} has no gate: start one with drover gate up DIR`
      : printable(detail, 2_000) || `${url}: HTTP ${response.status}`;
    const remedy = response.status === 401 ? WITHOUT_TOKEN : "";
    throw new CommandFailed(CODES[response.status] ?? "GATE_REFUSED", `${why}${remedy}`);
  }

  async #json<T>(path: string, init: RequestInit): Promise<T> {
    const response = await this.fetch(path, { ...init, signal: AbortSignal.timeout(ANSWER_LIMIT_MS) });
    return (await response.json()) as T;
  }
}
