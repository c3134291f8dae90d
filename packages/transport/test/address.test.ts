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
  ])("reads %s", (text, expected) => {
    const address = parseAddress(text);
    expect(address).toEqual(expected);
    expect(parseAddress(formatAddress(address))).toEqual(expected);
  });

  it("takes host and port that are left out from the defaults", () => {
    expect(parseAddress(":1", { host: "*" })).toEqual({ transport: "tcp", host: "*", port: 1 });
    expect(parseAddress("h", { port: 7 })).toEqual({ transport: "tcp", host: "h", port: 7 });
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
    ["http://gm1:4730", "host:port|brackets"],
  ])("refuses %j and says what to write", (text, remedy) => {
    expect(() => parseAddress(text)).toThrow(
      expect.objectContaining({
        code: "ADDRESS_INVALID",
        message: expect.stringMatching(new RegExp(remedy)) as string,
      }) as Error,
    );
  });
});
