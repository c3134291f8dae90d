import { createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";
import { readItems } from "../src/config/items.ts";
import { MASK, Masker } from "../src/executor/masking.ts";
import { decrypted, encryptedSecret } from "../src/secrets/encrypt.ts";
import type { SecretValue } from "../src/secrets/encrypted.ts";
import { ProjectKeys } from "../src/secrets/keys.ts";
import { seal, unseal } from "../src/secrets/sealing.ts";
import { BASE, change, load } from "./config/memory-source.ts";

/** A key that is quicker to make than a gate's; chunks are as long as for those. */
const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 4096 });
const PUBLIC = publicKey.export({ type: "spki", format: "pem" }) as string;
const PRIVATE = privateKey.export({ type: "pkcs8", format: "pem" }) as string;

describe("encrypted values", () => {
  test.each([0, 1, 470, 471, 2_000])("%i bytes come back from a file of configuration", (length) => {
    const text = 'é\n"{{ x }}: '.repeat(length).slice(0, length);
    const { items, problems } = readItems(
      encryptedSecret(PUBLIC, "deploy key", "ssh.key", Buffer.from(text)),
    );
    expect(problems).toEqual([]);
    const { name, data } = items[0]!.value as { name: string; data: SecretValue };
    expect(name).toBe("deploy key");
    expect(decrypted(PRIVATE, data)).toEqual({ "ssh.key": text });
  });

  test("stand anywhere in a secret, beside plain ones, also as one chunk without a list", () => {
    const chunk = encryptedSecret(PUBLIC, "x", "y", Buffer.from("hidden"))
      .split("|-\n")[1]!
      .replace(/\s/g, "");
    const text = `- secret:\n    name: s\n    data:\n      plain: text\n      deep: [{a: !encrypted/pkcs1-oaep ${chunk}}, 3]\n`;
    const { items } = readItems(text);
    const { data } = items[0]!.value as { data: SecretValue };
    expect(JSON.stringify(data)).not.toContain("hidden");
    expect(decrypted(PRIVATE, data)).toEqual({ plain: "text", deep: [{ a: "hidden" }, 3] });
  });

  test("are refused outside of a secret, when they hold something else, and by another key", () => {
    const told = (text: string) => readItems(text).problems.map(({ message }) => message);
    expect(told("- job: {name: j, vars: {a: !encrypted/pkcs1-oaep YQ==}}\n")).toEqual([
      "the tag !encrypted/pkcs1-oaep is not built yet",
    ]);
    expect(told("- secret: {name: s, data: {a: !encrypted/pkcs1-oaep '*base64*'}}\n")[0]).toContain(
      "holds base64",
    );
    expect(told("- secret: {name: s, data: {a: !other YQ==}}\n")).toEqual([
      "the tag !other is not built yet",
    ]);
    expect(() => decrypted(PRIVATE, { a: { "!encrypted/pkcs1-oaep": ["YQ=="] } })).toThrow();
  });
});

describe("keys", () => {
  test("are made once for each project, 4096 bits, for nobody else to read", async () => {
    const folder = mkdtempSync(join(tmpdir(), "drover-keys-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const keys = new ProjectKeys(join(folder, "keys"));
    expect(keys.privateKey("org/app")).toBe(undefined);
    const [first, second] = await Promise.all([keys.publicKey("org/app"), keys.publicKey("org/app")]);
    expect(second).toBe(first);
    expect(await new ProjectKeys(join(folder, "keys")).publicKey("org/app")).toBe(first);
    expect(createPublicKey(first).asymmetricKeyDetails?.modulusLength).toBe(4096);
    expect(
      createPublicKey(createPrivateKey(keys.privateKey("org/app")!)).export({ type: "spki", format: "pem" }),
    ).toBe(first);
    expect(statSync(join(folder, "keys")).mode & 0o777).toBe(0o700);
    keys.sealingKey();
    for (const name of ["org%2Fapp.pem", "sealing.key"])
      expect(statSync(join(folder, "keys", name)).mode & 0o777).toBe(0o600);
  });

  test("what is sealed opens by its key, for its purpose, unchanged", () => {
    const key = Buffer.alloc(32, 1);
    const sealed = seal(key, { a: "hidden" }, "secrets of 1");
    expect(Buffer.from(sealed, "base64").toString("latin1")).not.toContain("hidden");
    expect(unseal(key, sealed, "secrets of 1")).toEqual({ a: "hidden" });
    expect(() => unseal(key, sealed, "secrets of 2")).toThrow();
    expect(() => unseal(Buffer.alloc(32, 2), sealed, "secrets of 1")).toThrow();
    expect(() => unseal(key, `${sealed.slice(0, -4)}AAAA`, "secrets of 1")).toThrow();
  });
});

describe("masking", () => {
  const VALUE = 'p4ss "word" é/+?&';
  const forms = {
    plain: VALUE,
    "in JSON": JSON.stringify({ a: VALUE }),
    "in JSON of ASCII": JSON.stringify({ a: VALUE }).replace("é", "\\u00e9"),
    "in base64": Buffer.from(VALUE).toString("base64"),
    "in base64, after one character": Buffer.from(`:${VALUE}`).toString("base64"),
    "in base64, after a name": Buffer.from(`user:${VALUE}`).toString("base64"),
    "in base64, between others": Buffer.from(`ab${VALUE}xyz`).toString("base64"),
    "in base64 for URLs": Buffer.from(VALUE).toString("base64url"),
    "in a URL": `https://x/?q=${encodeURIComponent(VALUE)}&b`,
    "in a form": new URLSearchParams({ a: VALUE }).toString(),
  };

  test.each(Object.entries(forms))("hides a value %s, wherever the text is cut", (_name, text) => {
    for (let cut = 0; cut <= text.length; cut++) {
      const masker = new Masker();
      masker.add([VALUE, "word-of-another"]);
      const shown =
        masker.push(`before ${text.slice(0, cut)}`) +
        masker.push(`${text.slice(cut)} after`) +
        masker.flush();
      expect(shown).toContain(MASK);
      expect(shown).toMatch(/^before .* after$/);
      // Of a value that is encoded beside others, the characters that belong to both may stay.
      const left = shown.replaceAll(MASK, "").length - "before  after".length;
      expect(left, shown).toBeLessThan(Math.max(20, text.length - 10));
      for (const clue of ["p4ss", "word", "cDRzcyAid", "p4ss%20"]) expect(shown).not.toContain(clue);
    }
  });

  test("hides each line of a value of several, and base64 as the program of that name writes it", () => {
    const key = `-----BEGIN KEY-----\n${"QUJDREVGR0g".repeat(6)}\n${"aW1wb3J0YW50".repeat(5)}\n-----END KEY-----\n`;
    const masker = new Masker();
    masker.add([key]);
    const lines = key.split("\n").map((line) => `    ${line}\n`);
    for (const text of [key, lines.join(""), JSON.stringify(key)]) {
      const shown = masker.whole(text);
      expect(shown).not.toMatch(/QUJDREVGR0g|aW1wb3J0YW50|BEGIN/);
    }
    const wrapped = Buffer.from(key).toString("base64").replace(/.{76}/g, "$&\n");
    expect(masker.whole(wrapped).replaceAll(MASK, "").trim()).toMatch(/^=*$/);
  });

  test("finds the longest of those that begin alike, and shows all else at once", () => {
    const masker = new Masker();
    masker.add(["secret", "secret-of-all", "et-x"]);
    expect(masker.push("a secr")).toBe("a ");
    expect(masker.push("et-of-")).toBe("");
    expect(masker.push("all, a secret-of-nobody")).toBe(`${MASK}, a ${MASK}-of-nobody`);
    expect(masker.push("\nnothing\n")).toBe("\nnothing\n");
    expect(masker.push("secr")).toBe("");
    expect(masker.flush()).toBe("secr");
    expect(masker.push("et")).toBe("");
    expect(masker.flush()).toBe("et");
  });

  test("cut into any pieces, a text is shown the same", () => {
    const word = fc
      .array(fc.constantFrom("a", "b", "c", "\n"), { minLength: 4, maxLength: 7 })
      .map((one) => one.join(""));
    fc.assert(
      fc.property(
        fc.array(word, { minLength: 1, maxLength: 4 }),
        fc.array(fc.array(fc.constantFrom("a", "b", "c", "\n"), { maxLength: 20 }), { maxLength: 8 }),
        (values, written) => {
          const [whole, pieces] = [new Masker(), new Masker()];
          for (const masker of [whole, pieces]) masker.add(values);
          const texts = written.map((one) => one.join(""));
          const shown = texts.map((text) => pieces.push(text)).join("") + pieces.flush();
          expect(shown).toBe(whole.whole(texts.join("")));
        },
      ),
    );
  });

  test("what is too short to be hidden is not looked for", () => {
    const masker = new Masker();
    masker.add(["abc", "", "\n"]);
    expect(masker.push("abc\n")).toBe("abc\n");
  });
});

describe("configuration", () => {
  const SECRET = "- secret: {name: s, data: {a: text}}\n";
  const CONFIG = `${BASE}
- secret: {name: site, data: {k: v}}
- job:
    name: trusted
    pre-run: pre.yaml
    run: run.yaml
    post-run: tool
    secrets: [{name: own, secret: site}]
- job:
    name: open
    parent: base
    pre-run: [open.yaml, {command: ["true"]}]
    run: open-run.yaml
`;
  const frozen = async (app: string, pipeline = "check", more: Record<string, string> = {}) => {
    const { layout, told } = await load({
      config: { main: { "zuul.yaml": CONFIG } },
      app: {
        main: { "zuul.yaml": app },
        ...Object.fromEntries(Object.entries(more).map(([branch, text]) => [branch, { "zuul.yaml": text }])),
      },
      other: { main: {} },
    });
    const result = layout.freeze(pipeline, change("app"));
    if (result.kind !== "graph")
      return { told, problems: result.problems.map(({ message }) => message), given: [] };
    const job = [...result.jobs.values()][0];
    if (job === undefined) return { told, problems: [], given: [] };
    const given = [...job.preRun, ...job.run, ...job.postRun].map((step) => [
      "path" in step ? step.path : step.argv.join(" "),
      ...(step.secrets ?? []).map(({ name, secret }) => `${name}=${secret}`),
    ]);
    return { told, problems: [], given, secrets: job.secrets, postReview: job.postReview };
  };
  const inPipeline = (jobs: string, pipeline = "check") =>
    `- project:\n    ${pipeline}:\n      jobs: ${jobs}\n`;

  test("secrets are given to the files of the definition that names them, and to no child's", async () => {
    const { told, given, secrets, postReview } = await frozen(
      `- job: {name: child, parent: trusted, pre-run: more.yaml, run: mine.yaml}\n${inPipeline("[child]")}`,
    );
    expect(told).toEqual([]);
    expect(given).toEqual([["pre.yaml", "own=site"], ["more.yaml"], ["mine.yaml"], ["tool", "own=site"]]);
    expect(secrets).toEqual({ site: { project: "config", data: { k: "v" } } });
    expect(postReview).toBe(false);
  });

  test("an untrusted job with a secret runs in pipelines after review alone, for its own project", async () => {
    const job = `${SECRET}- job: {name: j, run: run.yaml, secrets: s}\n`;
    const refused = await frozen(job + inPipeline("[j]"));
    expect(refused.problems).toEqual([
      "pipeline check does not allow post-review job j: it gives a secret to what an unreviewed change could alter",
    ]);
    const { given } = await frozen(job + inPipeline("[j]", "gate"), "gate");
    expect(given).toEqual([["run.yaml", "s=s"]]);
    const { layout } = await load({
      config: { main: { "zuul.yaml": `${BASE}- project:\n    name: other\n    gate: {jobs: [j]}\n` } },
      app: { main: { "zuul.yaml": job } },
      other: { main: {} },
    });
    expect(layout.freeze("gate", change("other"))).toMatchObject({
      problems: [{ message: "project other is not among the allowed-projects of job j" }],
    });
  });

  test("an untrusted job with a secret is for its own project, whatever its allowed-projects say", async () => {
    const job = (more: string) =>
      `${SECRET}- job: {name: j, run: run.yaml, secrets: s, allowed-projects: ${more}}\n`;
    const { layout } = await load({
      config: { main: { "zuul.yaml": BASE } },
      app: { main: { "zuul.yaml": job("[app, other]") } },
      other: { main: { "zuul.yaml": inPipeline("[j]", "gate") } },
    });
    expect(layout.freeze("gate", change("other"))).toMatchObject({
      problems: [{ message: "project other is not among the allowed-projects of job j" }],
    });
    const { given } = await frozen(job("[other]") + inPipeline("[j]", "gate"), "gate");
    expect(given).toEqual([["run.yaml", "s=s"]]);
  });

  test("a child passes secrets to its parents' files where it says so, which makes it post-review if one is untrusted", async () => {
    const uses = "secrets: [{name: x, secret: s, pass-to-parent: true}, {name: y, secret: s}]";
    const job = `${SECRET}- job: {name: j, parent: open, post-run: post.yaml, ${uses}}\n`;
    const { given } = await frozen(job + inPipeline("[j]", "gate"), "gate");
    expect(given).toEqual([
      ["open.yaml", "x=s"],
      ["true"],
      ["open-run.yaml", "x=s"],
      ["post.yaml", "x=s", "y=s"],
    ]);
  });

  test("a secret of another project is not to be had, whatever is merged", async () => {
    const stolen = `- job: {name: j, run: run.yaml, secrets: site}\n${inPipeline("[j]", "gate")}`;
    const { told, problems } = await frozen(stolen, "gate");
    expect(told[0]).toContain(
      "job j has the secret site of config; a secret is used in the project that defines it",
    );
    expect(problems).toEqual(["secret site of job j is config's, and app may not give it"]);
    // Nor by a variant of the project's pipeline, or by a secret that has its name.
    const variant = await frozen(inPipeline("[{trusted: {run: mine.yaml, secrets: site}}]", "gate"), "gate");
    expect(variant.problems).toEqual(["secret site of job trusted is config's, and app may not give it"]);
    const second = await frozen(`- secret: {name: site, data: {k: w}}\n${stolen}`, "gate");
    expect(second.told[0]).toContain("secret site is defined already, at config main");
    expect(second.problems).toHaveLength(1);
  });

  test("a secret may stand on several branches of a project if it is the same there", async () => {
    const same = await frozen(SECRET, "check", { stable: SECRET });
    expect(same.told).toEqual([]);
    const other = await frozen(SECRET, "check", { stable: "- secret: {name: s, data: {a: other}}\n" });
    expect(other.told).toEqual([
      "app stable zuul.yaml:1 secret s is defined otherwise at app main zuul.yaml:1",
    ]);
  });

  test.each([
    ["secrets: [none]", "job j has the secret none, which is not defined"],
    ["secrets: [{name: zuul, secret: s}]", "this name is taken by the gate itself"],
    ["secrets: [s, {name: s, secret: s}]", "secrets: two of them have the name s"],
    ["secrets: [s], command: [make]", "secrets: a command gets none"],
  ])("%s is a problem", async (attribute, message) => {
    const { told } = await frozen(`${SECRET}- job: {name: j, ${attribute}}\n`);
    expect(told[0]).toContain(message);
  });
});
