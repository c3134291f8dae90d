import { signal } from "@preact/signals";
import { EventSource } from "eventsource";

/* Requests to the server, with the token of whoever sits here where the server wants one. */

const TOKEN = "drover-token";
/** The gate's users have tokens of their own. */
const GATE_TOKEN = "drover-gate-token";
const GATE = "api/gate/";

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

export function gateToken(): string | null {
  return sessionStorage.getItem(GATE_TOKEN);
}

/** @param token `null` forgets the one that was kept. */
export function keepGateToken(token: string | null): void {
  if (token === null) sessionStorage.removeItem(GATE_TOKEN);
  else sessionStorage.setItem(GATE_TOKEN, token);
}

function askForToken(path: string): void {
  // Looking at the gate asks by itself, since it may be open to all where the job server is not, or the other way about.
  if (path.startsWith(GATE)) return;
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

function authorized(path: string, headers: HeadersInit | undefined): Headers {
  const all = new Headers(headers);
  const token = (path.startsWith(GATE) ? gateToken() : null) ?? sessionStorage.getItem(TOKEN);
  if (token !== null) all.set("authorization", `Bearer ${token}`);
  return all;
}

async function request(path: string, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, { ...init, headers: authorized(path, init.headers) });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new Refusal(0, "the server cannot be reached");
  }
  if (response.ok) return response;
  if (response.status === 401) askForToken(path);
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

/** The text that a path answers, of which no more is read than `maxCharacters`; the server may have cut it too. @throws Refusal */
export async function loadText(
  path: string,
  maxCharacters: number,
  abort: AbortSignal,
): Promise<{ readonly text: string; readonly isCut: boolean }> {
  const response = await request(path, { signal: abort });
  let text = "";
  for await (const part of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += part;
    if (text.length > maxCharacters) return { text: text.slice(0, maxCharacters), isCut: true };
  }
  return { text, isCut: response.headers.get("drover-cut") === "true" };
}

/** All that a path answers in parts, each with `from` in the query: where it begins, in bytes. @throws Refusal */
export async function loadParts(path: string): Promise<Blob> {
  const parts: ArrayBuffer[] = [];
  for (let from = 0; ; ) {
    const part = await (await request(`${path}?from=${from}`, {})).arrayBuffer();
    if (part.byteLength === 0) return new Blob(parts, { type: "text/plain" });
    parts.push(part);
    from += part.byteLength;
  }
}

/** Whether a path answers with success; its answer is not read. */
export async function answers(path: string): Promise<boolean> {
  try {
    const response = await request(path, {});
    void response.body?.cancel();
    return true;
  } catch {
    return false;
  }
}

/** @returns what it answers. @throws Refusal */
export async function post<T>(path: string, body: object): Promise<T> {
  const response = await request(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return (await response.json()) as T;
}

/** @returns what it answers. @throws Refusal */
export async function remove<T>(path: string): Promise<T> {
  return (await (await request(path, { method: "DELETE" })).json()) as T;
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

/** A stream of events, which comes back by itself when it is cut. */
export function stream(path: string): EventSource {
  return new EventSource(path, {
    async fetch(url, init) {
      const response = await fetch(url, { ...init, headers: authorized(path, init.headers) } as RequestInit);
      if (response.status === 401) askForToken(path);
      return response;
    },
  });
}

const RECONNECT_MS = 2000;

export type StreamState = "connecting" | "live" | "lost";

/**
 * Follows a stream of events, again and again when it is cut or refused.
 * @param path Asked for at each connection, so that one may go on where the last ended.
 * @param onState `status`: why it is lost, where an answer told.
 * @returns Ends it.
 */
export function followed(
  path: () => string,
  takers: Readonly<Record<string, (data: string, id: string) => void>>,
  onState: (state: StreamState, status?: number) => void,
): () => void {
  let retry: ReturnType<typeof setTimeout> | undefined;
  let source = open();
  function open(): EventSource {
    const opened = stream(path());
    for (const [name, take] of Object.entries(takers))
      opened.addEventListener(name, (event) => take(event.data, event.lastEventId));
    opened.addEventListener("open", () => onState("live"));
    opened.addEventListener("error", ({ code }) => {
      opened.close();
      onState("lost", code);
      retry = setTimeout(() => {
        source = open();
      }, RECONNECT_MS);
    });
    return opened;
  }
  return () => {
    clearTimeout(retry);
    source.close();
  };
}
