import { describe, expect, it } from "vitest";
import { formatAddress, parseAddress } from "../src/index.ts";

describe("parseAddress", () => {
  it.each([
    ["gm1:4731", { transport: "tcp", host: "gm1", port: 4731 }],
    ["gm1", { transport: "tcp", host: "gm1", port: 4730 }],
    ["127.0.0.1:0", { transport: "tcp", host: "127.0.0.1", port: 0 }],
    ["[::1]:99", { transport: "tcp", host: "::1", port: 99 }],
    ["[fe80::1]", { transport: "tcp", host: "fe80::1", port: 4730 }],
    [":5000", { transport: "tcp", host: "localhost", port: 5000 }],
    ["*:5000", { transport: "tcp", host: "*", port: 5000 }],
    ["unix:/run/drover.sock", { transport: "unix", path: "/run/drover.sock" }],
    ["tls://gm1", { transport: "tls", host: "gm1", port: 4730 }],
    ["TLS://[::1]:99", { transport: "tls", host: "::1", port: 99 }],
    ["ws://gm1", { transport: "websocket", secure: false, host: "gm1", port: 4780, path: "/v1/ws" }],
    ["ws://gm1:80/", { transport: "websocket", secure: false, host: "gm1", port: 80, path: "/v1/ws" }],
    ["wss://gm1", { transport: "websocket", secure: true, host: "gm1", port: 443, path: "/v1/ws" }],
    [
      "wss://[::1]:4780/jobs/ws",
      { transport: "websocket", secure: true, host: "::1", port: 4780, path: "/jobs/ws" },
    ],
  ])("reads %s", (text, expected) => {
    const address = parseAddress(text);
    expect(address).toEqual(expected);
    expect(parseAddress(formatAddress(address))).toEqual(expected);
  });

  it("takes host and port that are left out from the defaults", () => {
    expect(parseAddress(":1", { host: "*" })).toEqual({ transport: "tcp", host: "*", port: 1 });
    expect(parseAddress("h", { port: 7 })).toEqual({ transport: "tcp", host: "h", port: 7 });
    expect(parseAddress("tls://h", { port: 7 })).toEqual({ transport: "tls", host: "h", port: 7 });
    // The port of a job server is not that of its WebSockets.
    expect(parseAddress("wss://h", { port: 7 })).toMatchObject({ port: 443 });
  });

  it.each([
    ["", "host:port"],
    ["::1:4730", "brackets"],
    ["[gm1]:1", "IPv6"],
    ["gm1:65536", "65535"],
    ["gm1:x", "host:port"],
    ["gm 1:1", "host:port"],
    ["/run/x.sock", "unix:/run/x.sock"],
    ["unix:", "path"],
    ["http://gm1:4730", "tls://host:port"],
    ["tls://gm1:1/x", "nothing may follow"],
    ["ws://gm1:x", "host:port"],
    ["wss://", "wss://host"],
    ["wss://gm1:65536/x", "65535"],
    ["wss://gm1/a b", "ends with its path"],
  ])("refuses %j and says what to write", (text, remedy) => {
    expect(() => parseAddress(text)).toThrow(
      expect.objectContaining({
        code: "ADDRESS_INVALID",
        message: expect.stringMatching(new RegExp(remedy)) as string,
      }) as Error,
    );
  });

  it.each(["wss://me:s3cret@gm1/x", "tls://s3cret@gm1", "ws://gm1/x?token=s3cret", "ws://gm1/x#s3cret"])(
    "refuses %s without repeating what may be secret",
    (text) => {
      expect(() => parseAddress(text)).toThrow(/^ADDRESS_INVALID: (?!.*s3cret)/);
    },
  );
});
