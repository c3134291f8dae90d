import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { JobServerOptions } from "@drover/server";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { build } from "vite";
import { onTestFinished } from "vitest";
import { type Stage, stage } from "../http/stage.ts";
import { findProgram } from "../peers/packages.ts";

const ROOT = resolve(import.meta.dirname, "../..");

/** `drover/browser` as it is published, in a folder beside the pages of the tests and of the example, and Chromium. */
export class BrowserStage implements AsyncDisposable {
  readonly folder: string;
  readonly #browser: Browser;

  private constructor(folder: string, browser: Browser) {
    this.folder = folder;
    this.#browser = browser;
  }

  static async open(): Promise<BrowserStage> {
    const folder = await builtLibrary();
    cpSync(join(ROOT, "examples/page"), folder, { recursive: true });
    cpSync(join(import.meta.dirname, "in-page.js"), join(folder, "in-page.js"));
    writeFileSync(
      join(folder, "blank.html"),
      '<!doctype html><title>blank</title><script type="module" src="in-page.js"></script>',
    );
    const browser = await chromium.launch({
      executablePath: findProgram("chromium")!,
      // Root cannot have its sandbox.
      args: process.getuid?.() === 0 ? ["--no-sandbox"] : [],
    });
    return new BrowserStage(folder, browser);
  }

  /** A page of this stage's folder in a tab of its own, closed with the test. */
  async show(origin: string, name: string, options: BrowserContextOptions = {}): Promise<Page> {
    const context = await this.#browser.newContext(options);
    onTestFinished(() => context.close());
    const page = await context.newPage();
    page.setDefaultTimeout(20_000);
    await page.goto(`${origin}/${name}`);
    return page;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#browser.close();
    rmSync(this.folder, { recursive: true });
  }
}

/** @returns a folder with the files of `drover/browser`. */
export async function builtLibrary(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "drover-browser-"));
  await build({
    configFile: join(ROOT, "packages/cli/vite.browser.config.ts"),
    build: { outDir: folder, emptyOutDir: true },
  });
  return folder;
}

/** A job server whose HTTP port serves the stage's pages, behind a proxy that can cut connections. */
export interface Site extends Stage {
  /** `127.0.0.1:PORT` of the proxy. */
  readonly host: string;
  readonly proxy: CuttingProxy;
}

export async function site(
  { folder }: BrowserStage,
  options: Partial<JobServerOptions> = {},
  origins: readonly string[] = [],
): Promise<Site> {
  const staged = await stage(options, { dashboard: folder, origins });
  const proxy = await CuttingProxy.before(Number(new URL(staged.url).port));
  onTestFinished(() => proxy.close());
  return { ...staged, proxy, host: `127.0.0.1:${proxy.port}` };
}

/** Passes on connections until it cuts them. */
export class CuttingProxy {
  /** Whether new connections are cut at once. */
  isDown = false;
  readonly #server: net.Server;
  readonly #open = new Set<net.Socket>();

  private constructor(server: net.Server) {
    this.#server = server;
  }

  static async before(port: number): Promise<CuttingProxy> {
    const server = net.createServer();
    const proxy = new CuttingProxy(server);
    server.on("connection", (near) => {
      if (proxy.isDown) {
        near.destroy();
        return;
      }
      const far = net.connect({ port, host: "127.0.0.1" });
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        proxy.#open.add(one);
        one.on("error", () => {});
        one.on("close", () => {
          proxy.#open.delete(one);
          other.destroy();
        });
        one.pipe(other);
      }
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as net.AddressInfo).port;
  }

  cut(): void {
    for (const socket of this.#open) socket.destroy();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** Calls a function of `in-page.js`. */
export async function inPage<T = unknown>(page: Page, name: string, ...args: unknown[]): Promise<T> {
  await page.waitForFunction("globalThis.page !== undefined");
  return page.evaluate<T>(`page.${name}(...${JSON.stringify(args)})`);
}
