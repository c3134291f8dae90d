import { byteString, byteStringOfText, bytesOf } from "@drover/protocol";
import { TransportError } from "@drover/transport";

/* The server's HTTP API, by `fetch`. */

/** An answer other than success: a problem as the server words it, or what a proxy says. */
export class HttpProblem extends Error {
  override readonly name = "HttpProblem";
  /** The last part of the problem's type, such as `queue-full`; empty when it is none of the server's. */
  readonly problem: string;
  readonly status: number;

  constructor(problem: string, status: number, detail: string) {
    super(detail);
    this.problem = problem;
    this.status = status;
  }

  /** The server, or what stands before it, cannot answer now. */
  get isPassing(): boolean {
    return this.problem === "draining" || (this.problem === "" && this.status >= 500);
  }
}

/** An event of a stream. Which members there are depends on `event`. */
export interface StreamEvent {
  readonly event: string;
  readonly id?: string;
  readonly handle?: string;
  readonly data?: string;
  readonly encoding?: string;
  readonly numerator?: number;
  readonly denominator?: number;
  readonly attempt?: number | string;
  readonly reason?: string;
  readonly function?: string;
  readonly unique?: string;
  readonly lease?: string;
  readonly reducer?: string;
  readonly traceparent?: string;
  readonly tracestate?: string;
  readonly links?: string;
}

/** An open stream and the fields of its answer. */
export interface EventStream {
  readonly headers: Headers;
  readonly events: AsyncGenerator<StreamEvent, void, undefined>;
}

export interface HttpRequest {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  readonly signal?: AbortSignal;
}

/** Longest line of a stream; the largest packet in base64 fits. */
const MAX_LINE_CHARS = 256 * 1_048_576;

/** Requests to one server. All of them end with `signal`. */
export class HttpApi {
  /** Told of each sign that the server lives. */
  onHeard: () => void = () => {};
  readonly #base: string;
  readonly #token: string | undefined;
  readonly #signal: AbortSignal;

  constructor(base: URL, token: string | undefined, signal: AbortSignal) {
    this.#base = base.href.replace(/\/$/, "");
    this.#token = token;
    this.#signal = signal;
  }

  /**
   * @param path Below `/v1/`.
   * @throws HttpProblem, TypeError when there is no answer
   */
  async request(method: string, path: string, request: HttpRequest = {}): Promise<Response> {
    const { headers, body, signal } = request;
    const response = await fetch(`${this.#base}/v1/${path}`, {
      method,
      headers: {
        ...headers,
        ...(this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` }),
      },
      ...(body === undefined ? {} : { body: body as Uint8Array<ArrayBuffer> }),
      cache: "no-store",
      signal: signal === undefined ? this.#signal : AbortSignal.any([signal, this.#signal]),
    });
    this.onHeard();
    if (response.ok) return response;
    throw await problemOf(response);
  }

  /** @throws as `request`; the events also when the stream breaks. They end where the server ends it. */
  async stream(method: string, path: string, request: HttpRequest = {}): Promise<EventStream> {
    const headers = { ...request.headers, accept: "application/x-ndjson" };
    const response = await this.request(method, path, { ...request, headers });
    return { headers: response.headers, events: this.#events(response.body!.getReader()) };
  }

  async *#events(reader: ReadableStreamDefaultReader<Uint8Array>): AsyncGenerator<StreamEvent, void> {
    const decoder = new TextDecoder();
    let parts: string[] = [];
    let chars = 0;
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        this.onHeard();
        const lines = decoder.decode(value, { stream: true }).split("\n");
        for (let i = 0; i < lines.length; i++) {
          parts.push(lines[i]!);
          chars += lines[i]!.length;
          if (chars > MAX_LINE_CHARS) {
            throw new TransportError("CONNECTION_LOST", `a line of more than ${MAX_LINE_CHARS} characters`);
          }
          if (i === lines.length - 1) break;
          const line = parts.join("");
          parts = [];
          chars = 0;
          if (line !== "") yield JSON.parse(line) as StreamEvent;
        }
      }
    } finally {
      reader.cancel().catch(() => {});
    }
  }
}

async function problemOf(response: Response): Promise<HttpProblem> {
  const text = await response.text();
  const { status, statusText } = response;
  if (response.headers.get("content-type")?.startsWith("application/problem+json")) {
    const { type, detail } = JSON.parse(text) as { type?: string; detail?: string };
    const [, name] = /\/v1\/problems\/([\w-]+)$/.exec(type ?? "") ?? [];
    if (name !== undefined) return new HttpProblem(name, status, detail ?? "");
  }
  return new HttpProblem("", status, `HTTP ${status} ${statusText}`);
}

/** What an event carries. */
export function payloadOf({ data = "", encoding }: StreamEvent): Uint8Array {
  return encoding === "base64" ? bytesOf(atob(data)) : bytesOf(byteStringOfText(data));
}

/** @param forUrl In base64url, without padding. */
export function base64(bytes: string | Uint8Array, forUrl = false): string {
  const text = btoa(typeof bytes === "string" ? bytes : byteString(bytes));
  return forUrl ? text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "") : text;
}
