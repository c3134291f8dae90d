import { signal } from "@preact/signals";
import { EventSource } from "eventsource";

/* Requests to the server, with the token of whoever sits here where the server wants one. */

const TOKEN = "drover-token";

/** `asking` after an answer 401; `declined` when nothing was given then, so that it is not asked for again and again. */
export const tokenState = signal<"fine" | "asking" | "declined">("fine");
/** The server refused an act: what this person may not do is shown as such. */
export const mayAct = signal(true);
/** Goes up when another token is given: whatever was refused is to be tried again. */
export const session = signal(0);

export function giveToken(token: string): void {
  if (token === "") sessionStorage.removeItem(TOKEN);
  else sessionStorage.setItem(TOKEN, token);
  tokenState.value = "fine";
  mayAct.value = true;
  session.value++;
}

function askForToken(): void {
  if (tokenState.value === "fine") tokenState.value = "asking";
}

/** A request that was not answered with success. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  /** 0 = the server could not be reached. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

function authorized(headers: HeadersInit | undefined): Headers {
  const all = new Headers(headers);
  const token = sessionStorage.getItem(TOKEN);
  if (token !== null) all.set("authorization", `Bearer ${token}`);
  return all;
}

async function request(path: string, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, { ...init, headers: authorized(init.headers) });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new Refusal(0, "the server cannot be reached");
  }
  if (response.ok) return response;
  if (response.status === 401) askForToken();
  throw new Refusal(response.status, await detailOf(response));
}

/** What the problem says, where it is one (RFC 9457). */
async function detailOf(response: Response): Promise<string> {
  try {
    const { detail } = (await response.json()) as { detail?: string };
    if (typeof detail === "string") return detail;
  } catch {
    // Not by Drover.
  }
  return `the server answered ${response.status}`;
}

/** @throws Refusal */
export async function load<T>(path: string, abort: AbortSignal): Promise<T> {
  const response = await request(path, { signal: abort });
  return (await response.json()) as T;
}

/** Does what only an administrator may. @throws Refusal */
export async function act(method: "POST" | "DELETE", path: string): Promise<void> {
  try {
    await request(path, { method });
  } catch (error) {
    if (error instanceof Refusal && error.status === 403) mayAct.value = false;
    throw error;
  }
}

/** Follows a stream of events, which comes back by itself when it is cut. */
export function stream(path: string): EventSource {
  return new EventSource(path, {
    async fetch(url, init) {
      const response = await fetch(url, { ...init, headers: authorized(init.headers) } as RequestInit);
      if (response.status === 401) askForToken();
      return response;
    },
  });
}
