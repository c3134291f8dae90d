import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { join } from "node:path";
import { ACTIONS, type Action, type Storefront } from "./storefront.ts";

const FIGURES_MS = 500;
const MAX_VIEWERS = 50;

const FILES: Readonly<Record<string, readonly [name: string, type: string]>> = {
  "/": ["index.html", "text/html; charset=utf-8"],
  "/page.js": ["page.js", "text/javascript; charset=utf-8"],
  "/style.css": ["style.css", "text/css; charset=utf-8"],
};

/** The page with the buttons, on loopback. */
export class Control {
  readonly #server: Server;
  readonly #storefront: Storefront;
  readonly #viewers = new Set<ServerResponse>();
  readonly #timer: NodeJS.Timeout;

  private constructor(storefront: Storefront) {
    this.#storefront = storefront;
    this.#server = createServer((request, response) => void this.#answer(request, response));
    this.#timer = setInterval(() => this.#tell(), FIGURES_MS);
  }

  /** @param port 0: one that is free. */
  static async open(storefront: Storefront, port: number): Promise<Control> {
    const control = new Control(storefront);
    control.#server.listen(port, "127.0.0.1");
    try {
      await once(control.#server, "listening");
    } catch (error) {
      control.close();
      throw error;
    }
    return control;
  }

  get url(): string {
    return `http://${this.#host}/`;
  }

  close(): void {
    clearInterval(this.#timer);
    this.#server.close();
    this.#server.closeAllConnections();
  }

  get #host(): string {
    return `127.0.0.1:${(this.#server.address() as { port: number }).port}`;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const json = (status: number, body: unknown) =>
      void response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    const { method, url = "/", headers } = request;
    // Other sites' pages are not to press the buttons, under no name.
    const site = headers["sec-fetch-site"] ?? "none";
    if (headers.host !== this.#host || (site !== "same-origin" && site !== "none" && method !== "GET"))
      return json(403, { error: `only for ${this.url}` });
    if (method === "POST") {
      const action = ACTIONS.find((name) => url === `/actions/${name}`);
      return action === undefined ? json(404, { error: "no such action" }) : this.#act(action, json);
    }
    if (method !== "GET") return json(405, { error: "GET or POST" });
    if (url === "/figures") return json(200, this.#storefront.figures());
    if (url === "/events") return this.#view(response, json);
    const file = FILES[url];
    if (file === undefined) return json(404, { error: "no such page" });
    response
      .writeHead(200, { "content-type": file[1], "content-security-policy": "default-src 'self'" })
      .end(readFileSync(join(import.meta.dirname, "page", file[0])));
  }

  async #act(action: Action, json: (status: number, body: unknown) => void): Promise<void> {
    try {
      json(200, { done: await this.#storefront.act(action) });
    } catch (error) {
      json(409, { error: (error as Error).message });
    }
  }

  #view(response: ServerResponse, json: (status: number, body: unknown) => void): void {
    if (this.#viewers.size >= MAX_VIEWERS) {
      json(503, { error: `${MAX_VIEWERS} look on already` });
      return;
    }
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    response.write(`data: ${JSON.stringify(this.#storefront.figures())}\n\n`);
    this.#viewers.add(response);
    response.on("close", () => this.#viewers.delete(response));
  }

  #tell(): void {
    if (this.#viewers.size === 0) return;
    const event = `data: ${JSON.stringify(this.#storefront.figures())}\n\n`;
    // Who does not read misses some.
    for (const viewer of this.#viewers) if (!viewer.writableNeedDrain) viewer.write(event);
  }
}
