import {
  appendFileSync,
  chmodSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Identities, type IdentityRule } from "../src/auth/identities.ts";
import { OneUseSecrets } from "../src/auth/one-use.ts";
import { readToken } from "../src/auth/token.ts";
import { createToken, parseTokens, readTokenFile, revokeToken } from "../src/auth/token-file.ts";
import { ANYONE, NO_RIGHTS, STRANGER } from "../src/core/index.ts";

/* Who is who: from a file of tokens, certificates and places to an identity. */

let folder = "";
let file = "";
let opened: Identities[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "drover-tokens-"));
  file = join(folder, "tokens");
});
afterEach(() => {
  for (const identities of opened.splice(0)) identities.close();
  rmSync(folder, { recursive: true, force: true });
  opened = [];
});

const NOW = new Date("2030-01-01T00:00:00Z");
let nowMs = NOW.getTime();
beforeEach(() => {
  nowMs = NOW.getTime();
});

const logged: object[] = [];
const log = {
  debug: (fields: object) => void logged.push(fields),
  info: (fields: object) => void logged.push(fields),
  warn: (fields: object) => void logged.push(fields),
  error: (fields: object) => void logged.push(fields),
};
beforeEach(() => void logged.splice(0));

const rule = (name: string, more: Partial<IdentityRule> = {}): IdentityRule => ({
  name,
  rights: { ...NO_RIGHTS, submit: [name] },
  ...more,
});

function open(
  rules: readonly IdentityRule[],
  more: { anonymous?: string; tokens?: boolean } = {},
): Identities {
  const tokenFile = more.tokens === false ? undefined : file;
  const identities = new Identities({ rules, anonymous: more.anonymous, tokenFile }, log, () => nowMs);
  opened.push(identities);
  return identities;
}

function thrown(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error("nothing was thrown");
}

describe("the file of tokens", () => {
  it("is made for its owner alone, and holds no secret", () => {
    const { id, text } = createToken(file, { identity: "shop", note: "web 1" }, NOW);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const { secret } = readToken(text)!;
    expect(text).toBe(`drover_${id}_${secret}`);
    expect(Buffer.from(secret, "base64url")).toHaveLength(32);
    expect(readFileSync(file, "utf8")).not.toContain(secret);
    expect(readTokenFile(file)).toMatchObject([{ id, identity: "shop", note: "web 1" }]);
  });

  it.each([0o640, 0o604, 0o620, 0o666])("is refused with the mode %o", (mode) => {
    createToken(file, { identity: "shop" }, NOW);
    chmodSync(file, mode);
    expect(thrown(() => readTokenFile(file))).toBe(
      `TOKEN_FILE_EXPOSED: ${file} has the mode ${mode.toString(8)}, so that others may read or write it: chmod 600 ${file}`,
    );
  });

  it.each([
    ["", 1],
    ["{}\n", 1],
    ['{"droverTokens":2}\n', 1],
    ['{"droverTokens":1}\n{"id":\n', 2],
    ['{"droverTokens":1}\n{"id":"1"}\n', 2],
    ['{"droverTokens":1}\nnull\n', 2],
    ['{"droverTokens":1}\n\n', 2],
  ])("%j is invalid at the line that is wrong, which is not shown", (text, line) => {
    expect(thrown(() => parseTokens(text, "tokens"))).toMatch(
      new RegExp(`^TOKEN_FILE_INVALID: tokens:${line}: `),
    );
  });

  it("a record with a key of another version is refused, since it may be a limit", () => {
    createToken(file, { identity: "shop" }, NOW);
    const text = readFileSync(file, "utf8").replace('"identity"', '"onlyFrom":"10.0.0.1","identity"');
    expect(thrown(() => parseTokens(text, "tokens"))).toBe("TOKEN_FILE_INVALID: tokens:2: is no token");
  });

  it("two commands do not change it at one time", () => {
    writeFileSync(`${file}.new`, "");
    expect(thrown(() => createToken(file, { identity: "shop" }, NOW))).toContain(`${file}.new is there`);
  });

  it("a change that fails leaves it as it was", () => {
    createToken(file, { identity: "shop" }, NOW);
    const before = readFileSync(file, "utf8");
    expect(thrown(() => revokeToken(file, "000000000000", NOW))).toContain("TOKEN_UNKNOWN");
    expect(readFileSync(file, "utf8")).toBe(before);
    revokeToken(file, readTokenFile(file)[0]!.id, NOW);
    expect(readTokenFile(file)[0]!.revoked).toBe(NOW.toISOString());
  });
});

describe("a token", () => {
  it("is its identity's, and nothing like it is", () => {
    const { text } = createToken(file, { identity: "shop" }, NOW);
    const identities = open([rule("shop")]);
    const found = identities.resolve({ token: text });
    expect(found).toMatchObject({ name: "shop", source: "token" });
    expect(identities.resolve({ token: text })).toBe(found);
    const last = text.at(-1) === "A" ? "Q" : "A";
    for (const wrong of [
      "",
      text.slice(0, -1),
      `${text}A`,
      text.toUpperCase(),
      text.slice(0, -1) + last,
      `${text}\n`,
    ]) {
      expect(identities.resolve({ token: wrong })).toBeNull();
    }
  });

  it("that is not valid is refused even where nothing shown would be enough", () => {
    createToken(file, { identity: "shop" }, NOW);
    const identities = open([rule("shop"), rule("all", { networks: ["10.0.0.0/8"] })], { anonymous: "all" });
    expect(identities.resolve({ address: "10.0.0.1" })?.name).toBe("all");
    expect(identities.resolve({ address: "10.0.0.1", token: "drover_x" })).toBeNull();
  });

  it("ends when it expires, which is noticed without the file being touched", () => {
    const { text } = createToken(file, { identity: "shop", expires: new Date(nowMs + 60_000) }, NOW);
    const identities = open([rule("shop")]);
    const reasons: string[] = [];
    identities.onChange = (reason) => reasons.push(reason);
    const identity = identities.resolve({ token: text })!;
    nowMs += 59_999;
    identities.look();
    expect(identities.renew(identity)).toBe(identity);
    nowMs += 1;
    identities.look();
    expect(reasons).toEqual(["its token has expired"]);
    expect(identities.renew(identity)).toBeNull();
    expect(identities.resolve({ token: text })).toBeNull();
    identities.look();
    expect(reasons).toHaveLength(1);
  });

  it("ends when it is revoked, and the others stay what they are", () => {
    const [one, two] = [1, 2].map(() => createToken(file, { identity: "shop" }, NOW));
    const identities = open([rule("shop")]);
    const [revoked, kept] = [one!, two!].map(({ text }) => identities.resolve({ token: text })!);
    const reasons: string[] = [];
    identities.onChange = (reason) => reasons.push(reason);
    identities.look();
    expect(reasons).toEqual([]);
    revokeToken(file, one!.id, NOW);
    identities.look();
    expect(reasons).toHaveLength(1);
    expect(identities.renew(revoked!)).toBeNull();
    expect(identities.renew(kept!)).toMatchObject({ name: "shop", tokenId: two!.id });
  });

  it("made while the server runs is known without a restart", () => {
    createToken(file, { identity: "shop" }, NOW);
    const identities = open([rule("shop")]);
    const { text } = createToken(file, { identity: "shop" }, NOW);
    identities.look();
    expect(identities.resolve({ token: text })?.name).toBe("shop");
  });

  it("stays valid when the file cannot be read any more, but for one that is gone", () => {
    const { text } = createToken(file, { identity: "shop" }, NOW);
    const identities = open([rule("shop")]);
    appendFileSync(file, "nonsense\n");
    identities.look();
    expect(logged).toMatchObject([{ code: "TOKENS_UNREADABLE", problem: expect.stringContaining(":3: ") }]);
    expect(identities.resolve({ token: text })?.name).toBe("shop");
    rmSync(file);
    identities.look();
    expect(identities.resolve({ token: text })).toBeNull();
  });

  it("of an identity that is not configured is worth nothing, and told", () => {
    const { id, text } = createToken(file, { identity: "shpo" }, NOW);
    const identities = open([rule("shop")]);
    expect(identities.resolve({ token: text })).toBeNull();
    expect(logged).toEqual([{ token: id, identity: "shpo" }]);
  });
});

describe("the order of evidence", () => {
  const RULES = [
    rule("token"),
    rule("certificate", { certificates: ["Imaging.example.com"] }),
    rule("listener", { listeners: ["127.0.0.1:4731"] }),
    rule("socket", { sockets: ["/run/drover.sock"] }),
    rule("network", { networks: ["10.0.0.0/8", "fd00::/8", "192.0.2.7"] }),
    rule("rest"),
  ];

  it("is certificate, token, place, anonymous", () => {
    const { text } = createToken(file, { identity: "token" }, NOW);
    const identities = open(RULES, { anonymous: "rest" });
    const certificateNames = ["other", "imaging.EXAMPLE.com"];
    const place = { listener: "127.0.0.1:4731", address: "10.1.2.3" };
    const name = (evidence: Parameters<Identities["resolve"]>[0]) => identities.resolve(evidence)?.name;
    expect(name({ certificateNames, token: text, ...place })).toBe("certificate");
    expect(name({ certificateNames: ["other"], token: text, ...place })).toBe("token");
    expect(name(place)).toBe("listener");
    expect(name({ listener: "127.0.0.1:4730", address: "10.1.2.3" })).toBe("network");
    expect(name({ address: "fd12::1" })).toBe("network");
    expect(name({ address: "192.0.2.7" })).toBe("network");
    expect(name({ address: "/run/drover.sock", isUnix: true })).toBe("socket");
    for (const address of ["11.0.0.1", "192.0.2.8", "fe80::1", "", "/run/drover.sock"]) {
      expect(name({ address })).toBe("rest");
    }
    expect(name({ address: "/run/other.sock", isUnix: true })).toBe("rest");
    expect(name({ certificateNames: ["imaging.example.com.evil"] })).toBe("rest");
  });

  it("ends with nobody, unless somebody is named", () => {
    const identities = open(RULES, { tokens: false });
    expect(identities.resolve({ address: "11.0.0.1" })).toBeNull();
    expect(identities.resolve({})).toBeNull();
  });

  it("a token on a connection with a certificate is judged, but does not take its place", () => {
    const { text } = createToken(file, { identity: "token" }, NOW);
    const identities = open(RULES);
    const certificate = identities.resolve({ certificateNames: ["imaging.example.com"] })!;
    expect(identities.authenticate(text, certificate)).toBe(certificate);
    expect(identities.authenticate("drover_x", certificate)).toBeNull();
    expect(identities.authenticate(text, STRANGER)?.name).toBe("token");
  });

  it("an anonymous identity that is not configured is refused, and the rules before stay", () => {
    const identities = open([rule("a")], { anonymous: "a", tokens: false });
    expect(thrown(() => identities.reconfigure({ rules: [rule("b")], anonymous: "c" }))).toContain(
      "AUTH_INVALID",
    );
    expect(identities.resolve({})?.name).toBe("a");
  });
});

describe("other rules, while connections last", () => {
  const after = (before: IdentityRule, now: IdentityRule, evidence: Parameters<Identities["resolve"]>[0]) => {
    const identities = open([before], { tokens: false, anonymous: before.name });
    const identity = identities.resolve(evidence)!;
    identities.reconfigure({ rules: [now], anonymous: now.name });
    return identities.renew(identity);
  };

  it("other rights are taken over", () => {
    const renewed = after(
      rule("a", { networks: ["10.0.0.0/8"] }),
      rule("a", { networks: ["10.0.0.0/8"], rights: { ...NO_RIGHTS, status: true } }),
      { address: "10.0.0.1" },
    );
    expect(renewed?.rights.status).toBe(true);
  });

  it("an identity that is gone, or is to be had otherwise, ends", () => {
    expect(after(rule("a"), rule("b"), {})).toBeNull();
    const before = rule("a", { networks: ["10.0.0.0/8"], certificates: ["c"] });
    const now = rule("a", { networks: ["10.1.0.0/16"], certificates: ["c"] });
    expect(after(before, now, { address: "10.0.0.1" })).toBeNull();
    expect(after(before, now, { certificateNames: ["c"] })?.name).toBe("a");
  });

  it("what is used goes on to count under the new limits", () => {
    const limits = { maxJobs: 1 };
    const identities = open([rule("a", { limits })], { tokens: false, anonymous: "a" });
    const { account } = identities.resolve({})!;
    identities.reconfigure({ rules: [rule("a", { limits: { maxJobs: 5 } })], anonymous: "a" });
    const renewed = identities.resolve({})!;
    expect(renewed.account).toBe(account);
    expect(account!.limits.maxJobs).toBe(5);
  });

  it("everybody and strangers stay what they are", () => {
    const identities = open([], { tokens: false });
    expect(identities.renew(ANYONE)).toBe(ANYONE);
    expect(identities.renew(STRANGER)).toBe(STRANGER);
  });
});

describe("a ticket", () => {
  const ORIGIN = "https://shop.example.com";

  it("is its identity's once, from its origin, for 30 s", () => {
    const identities = open([rule("a")], { tokens: false, anonymous: "a" });
    const identity = identities.resolve({})!;
    const ticket = identities.issueTicket(identity, ORIGIN);
    nowMs += 29_999;
    expect(identities.redeemTicket(ticket, ORIGIN)).toBe(identity);
    expect(identities.redeemTicket(ticket, ORIGIN)).toBeNull();
    const late = identities.issueTicket(identity, ORIGIN);
    nowMs += 30_000;
    expect(identities.redeemTicket(late, ORIGIN)).toBeNull();
    const stolen = identities.issueTicket(identity, ORIGIN);
    expect(identities.redeemTicket(stolen, "https://evil.example.com")).toBeNull();
    expect(identities.redeemTicket(stolen, ORIGIN)).toBeNull();
  });

  it("is worth no more than its identity by then", () => {
    const { id, text } = createToken(file, { identity: "a" }, NOW);
    const identities = open([rule("a")]);
    const ticket = identities.issueTicket(identities.resolve({ token: text })!, ORIGIN);
    revokeToken(file, id, NOW);
    identities.look();
    expect(identities.redeemTicket(ticket, ORIGIN)).toBeNull();
  });

  it("past their number the oldest goes", () => {
    const secrets = new OneUseSecrets(1000, 2);
    const issued = [1, 2, 3].map(() => secrets.issue(ANYONE, ORIGIN, 0));
    expect(secrets.size).toBe(2);
    expect(issued.map((secret) => secrets.redeem(secret, ORIGIN, 0))).toEqual([null, ANYONE, ANYONE]);
    secrets.issue(ANYONE, ORIGIN, 0);
    secrets.issue(ANYONE, ORIGIN, 5000);
    expect(secrets.size).toBe(1);
  });
});
