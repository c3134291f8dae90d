import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { build } from "vite";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { until } from "../peers/until.ts";

/* What `npm run pack` makes, installed where nothing of this repository is. */

const ROOT = resolve(import.meta.dirname, "../..");
const run = promisify(execFile);

/** `npm test` tells its scripts about the repository; programs elsewhere are not to know. */
const env = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(?:npm_|DROVER_|GEARMAN)/i.test(name)),
);

let folder: string;
/** Why the packages that Drover needs cannot be had here. */
let obstacle: string | undefined;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "drover-packed-"));
  const tarballs = join(folder, "tarballs");
  await run(process.execPath, [join(ROOT, "scripts/pack.ts"), tarballs], { env });
  write("package.json", JSON.stringify({ private: true, type: "module" }));
  const options = ["--no-audit", "--no-fund", "--prefer-offline", "--fetch-retries=1", "--ignore-scripts"];
  const files = readdirSync(tarballs).map((name) => join(tarballs, name));
  try {
    await run("npm", ["install", ...options, ...files], { cwd: folder, env });
  } catch (error) {
    const { stderr } = error as { stderr: string };
    if (!/\b(?:ENOTFOUND|EAI_AGAIN|ECONN\w+|ETIMEDOUT|ENOTCACHED)\b/.test(stderr)) throw error;
    obstacle = `npm's registry cannot be reached: ${stderr.split("\n")[0]}`;
  }
}, 240_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

beforeEach((context) => {
  if (obstacle === undefined) return;
  if (process.env.CI === "true") throw new Error(obstacle);
  context.skip(`skipped: ${obstacle}`);
});

function write(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

interface Manifest {
  readonly exports: Readonly<Record<string, string>>;
  readonly imports?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly bin?: Readonly<Record<string, string>>;
  readonly devDependencies?: unknown;
}

/** Each package that was published, and the files that it has. */
function published(): { name: string; manifest: Manifest; files: Map<string, string> }[] {
  const modules = join(folder, "node_modules");
  const names = ["drover", ...readdirSync(join(modules, "@drover")).map((name) => `@drover/${name}`)];
  return names.map((name) => {
    const at = join(modules, name);
    const found = readdirSync(at, { recursive: true, withFileTypes: true }).filter((one) => one.isFile());
    const paths = found.map((one) => join(one.parentPath, one.name));
    const files = new Map(paths.map((path) => [path.slice(at.length + 1), readFileSync(path, "utf8")]));
    return { name, manifest: JSON.parse(files.get("package.json")!) as Manifest, files };
  });
}

/** What TypeScript says of `source`, which is strict about everything but what `options` say. */
async function typed(source: string, options: Readonly<Record<string, unknown>>): Promise<string> {
  const strict = { strict: true, module: "nodenext", target: "es2024", noEmit: true };
  const types = { types: [], typeRoots: [join(ROOT, "node_modules/@types")] };
  const project = write(
    "tsconfig.json",
    JSON.stringify({
      compilerOptions: { ...strict, ...types, ...options },
      files: [write("typed.ts", source)],
    }),
  );
  const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
  return run(process.execPath, [tsc, "-p", project], { env }).then(
    () => "",
    (error: { stdout: string }) => error.stdout,
  );
}

describe("what is published", () => {
  it("is what was built of the sources, without tests, maps and paths of the machine that built it", () => {
    const paths = [ROOT, `${homedir()}/`, join(tmpdir(), "drover-pack")];
    for (const { name, files } of published()) {
      const wrong = [...files.keys()].filter(
        (path) => !/^(?:bin|dist)\/|^(?:LICENSE|README\.md|package\.json)$/.test(path),
      );
      wrong.push(
        ...[...files.keys()].filter((path) => /\btests?\b|\.map$|\.tsbuildinfo$|(?<!\.d)\.ts$/.test(path)),
      );
      expect([name, wrong]).toEqual([name, []]);
      expect([...files.keys()]).toContain("LICENSE");
      for (const [path, content] of files) {
        expect(content, `${name}/${path}`).not.toContain("sourceMappingURL");
        for (const one of paths) expect(content.includes(one), `${name}/${path} has ${one}`).toBe(false);
      }
    }
  });

  it("has every door that a manifest names, with types", () => {
    for (const { name, manifest, files } of published()) {
      expect(manifest.devDependencies).toBeUndefined();
      const doors = Object.values(manifest.exports);
      const behind = Object.values(manifest.imports ?? {}).flatMap((choices) => Object.values(choices));
      const typings = doors.map((path) => path.replace(/\.js$/, ".d.ts"));
      for (const path of [...doors, ...typings, ...behind, ...Object.values(manifest.bin ?? {})]) {
        expect([...files.keys()], name).toContain(path.replace(/^\.\//, ""));
      }
    }
  });

  it("imports: `drover` has Client and Worker, and each package opens", async () => {
    const doors = published().flatMap(({ name, manifest }) =>
      Object.keys(manifest.exports).map((door) => `${name}${door.slice(1)}`),
    );
    const program = write(
      "program.js",
      `import { Client, Worker } from "drover";
for (const door of ${JSON.stringify(doors)}) await import(door);
console.log(typeof Client, typeof Worker);`,
    );
    const { stdout, stderr } = await run(process.execPath, [program], { env });
    expect([stdout, stderr]).toEqual(["function function\n", ""]);
  });

  it("`drover up` serves jobs and the dashboard with all its files", async () => {
    const readyFile = join(folder, "ready");
    const command = join(folder, "node_modules/.bin/drover");
    const args = ["up", "-p", "0", "--http", "localhost:0", "--store", "memory", "--ready-file", readyFile];
    const server = spawn(process.execPath, [command, ...args], {
      cwd: folder,
      env: { ...env, XDG_CACHE_HOME: join(folder, "cache") },
      stdio: "ignore",
    });
    const ended = once(server, "exit");
    onTestFinished(async () => {
      server.kill("SIGKILL");
      await ended;
    });
    await until("the server is ready", 60_000, () => existsSync(readyFile));
    const ready = JSON.parse(readFileSync(readyFile, "utf8")) as {
      listeners: { port: number }[];
      http: string[];
    };
    const origin = `http://localhost:${ready.http[0]!.split(":").at(-1)}/`;
    const page = await fetch(origin);
    const html = await page.text();
    expect([page.status, html]).toEqual([200, expect.stringContaining("<!doctype html>")]);
    const assets = [...html.matchAll(/(?:src|href)="(\.\/[^"]+)"/g)].map((match) => match[1]!);
    expect(assets.filter((path) => path.endsWith(".js"))).not.toEqual([]);
    expect(assets.filter((path) => path.endsWith(".css"))).not.toEqual([]);
    for (const path of assets) {
      const asset = await fetch(new URL(path, origin));
      const size = (await asset.bytes()).length;
      expect([path, asset.status, size > 0]).toEqual([path, 200, true]);
      expect(asset.headers.get("content-type")).not.toContain("text/html");
    }

    const program = write(
      "jobs.js",
      `import { Client, Worker } from "drover";
const servers = "localhost:${ready.listeners[0]!.port}";
await using worker = new Worker({ servers });
worker.handle("shout", ({ workload }) => Buffer.from(workload).toString().toUpperCase());
await worker.run();
await using client = new Client({ servers });
console.log(Buffer.from(await client.submit("shout", "hello").result()).toString());`,
    );
    expect((await run(process.execPath, [program], { env })).stdout).toBe("HELLO\n");
    server.kill("SIGTERM");
    expect(await ended).toEqual([0, null]);
  });

  it("`drover` and its packages have types, with nothing left unlooked at", async () => {
    const source = `
import { Client, type SubmitOptions, Worker } from "drover";
import type { JobServer } from "@drover/server";
const client: Client = new Client({ servers: "localhost:4730" });
const options: SubmitOptions = { unique: "a" };
export const result: Uint8Array = await client.submit("f", "x", options).result();
new Worker({ servers: ["localhost:4730"] }).handle("f", async (job) => { await job.data("x"); return job.unique; });
export const address = (server: JobServer): string => server.addresses[0]!.address;
// @ts-expect-error
client.submit(1);
`;
    expect(await typed(source, { lib: ["es2024", "esnext.disposable"], types: ["node"] })).toBe("");
  });

  it("`drover/browser` has types for pages, which have none of Node's", async () => {
    const source = `
import { Client, type ClientOptions, Worker } from "drover/browser";
const options: ClientOptions = { servers: "wss://localhost/" };
document.title = String(await new Client(options).submit("f", "x").result());
new Worker(options).handle("f", () => "");
// @ts-expect-error
new Client({ servers: 1 });
`;
    const lib = ["es2024", "dom", "esnext.disposable"];
    for (const how of [{}, { module: "esnext", moduleResolution: "bundler" }]) {
      expect(await typed(source, { lib, skipLibCheck: true, ...how })).toBe("");
    }
  });

  it("`drover/browser` goes through a bundler, and needs nothing else", async () => {
    mkdirSync(join(folder, "out"));
    await build({
      root: folder,
      configFile: false,
      logLevel: "error",
      build: {
        outDir: "out",
        lib: {
          entry: write(
            "page.js",
            `import { Client } from "drover/browser";\nglobalThis.made = new Client();\n`,
          ),
          formats: ["es"],
          fileName: () => "page.js",
        },
      },
    });
    const built = readdirSync(join(folder, "out")).map((name) =>
      readFileSync(join(folder, "out", name), "utf8"),
    );
    expect(built.length).toBeGreaterThan(0);
    for (const code of built) expect(code).not.toMatch(/from\s*["'](?!\.)|node:|__vite-browser-external/);
  });
});
