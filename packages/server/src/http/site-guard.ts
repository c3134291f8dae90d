import type { IncomingMessage } from "node:http";
import { Problem } from "./problems.ts";

const LOOPBACK = new Set(["localhost", "127.0.0.1", "[::1]", ""]);

/**
 * Keeps pages of other sites out: a browser carries their requests to loopback, where no password is asked for, and a name
 * of theirs may resolve to it (DNS rebinding).
 */
export class SiteGuard {
  readonly #hosts: ReadonlySet<string>;
  readonly #origins: ReadonlySet<string>;
  /** The authority that was allowed last, since most requests have the same. */
  #lastOurs = "";

  constructor(hosts: readonly string[], origins: readonly string[]) {
    this.#hosts = new Set(hosts.map((host) => host.toLowerCase()));
    this.#origins = new Set(origins.map((origin) => origin.toLowerCase()));
  }

  /** Whether pages of an origin are expected, other than the server's own. */
  allows(origin: string): boolean {
    return this.#origins.has(origin.toLowerCase());
  }

  /** Why a request is refused, or null. */
  refusal(request: IncomingMessage): Problem | null {
    const { headers, socket } = request;
    const authority = (headers[":authority"] as string | undefined) ?? headers.host ?? "";
    // The address is asked last: that is dear with HTTP/2.
    if (!this.#isOurs(authority) && isLoopback(socket.localAddress)) {
      return new Problem(
        "host-not-allowed",
        `this server is not called ${shown(hostOf(authority))}: add it to http.hosts`,
      );
    }
    const { origin } = headers;
    if (origin !== undefined && !isOwn(origin, authority) && !this.allows(origin)) {
      return new Problem("cross-site", `pages of ${shown(origin)} may not use this server: see http.origins`);
    }
    const isForeign = headers["sec-fetch-site"] === "cross-site" && headers["sec-fetch-mode"] !== "navigate";
    if (origin === undefined && isForeign) {
      return new Problem("cross-site", "pages of other sites may not use this server: see http.origins");
    }
    return null;
  }

  #isOurs(authority: string): boolean {
    if (authority === this.#lastOurs) return true;
    const host = hostOf(authority);
    if (!LOOPBACK.has(host) && !this.#hosts.has(host)) return false;
    this.#lastOurs = authority;
    return true;
  }
}

function hostOf(authority: string): string {
  return authority.replace(/:\d*$/, "").toLowerCase();
}

function isOwn(origin: string, authority: string): boolean {
  return origin === `http://${authority}` || origin === `https://${authority}`;
}

function isLoopback(address: string | undefined): boolean {
  return address === undefined || address === "::1" || /^(::ffff:)?127\./.test(address);
}

function shown(text: string): string {
  return text.slice(0, 100);
}
