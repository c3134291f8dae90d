import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import { build } from "vite";
import { findProgram } from "../../../test/peers/packages.ts";

/** The page as it is now, built into a folder of its own, and a browser for it. */
export class Viewer implements AsyncDisposable {
  readonly folder: string;
  readonly #browser: Browser;

  private constructor(folder: string, browser: Browser) {
    this.folder = folder;
    this.#browser = browser;
  }

  static async open(): Promise<Viewer> {
    const folder = mkdtempSync(join(tmpdir(), "drover-dashboard-"));
    await build({
      configFile: resolve(import.meta.dirname, "../vite.config.ts"),
      build: { outDir: folder },
    });
    const browser = await chromium.launch({
      executablePath: findProgram("chromium")!,
      // Root cannot have its sandbox.
      args: process.getuid?.() === 0 ? ["--no-sandbox"] : [],
    });
    return new Viewer(folder, browser);
  }

  /** A tab without a past. */
  async look(url: string, colorScheme: "light" | "dark" = "light"): Promise<Tab> {
    const context = await this.#browser.newContext({ colorScheme, viewport: { width: 1280, height: 800 } });
    return Tab.open(await context.newPage(), url);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#browser.close();
    rmSync(this.folder, { recursive: true });
  }
}

/** A tab, with everything that went wrong in it: errors, and what its policy refused. */
export class Tab implements AsyncDisposable {
  readonly page: Page;
  readonly faults: string[] = [];

  private constructor(page: Page) {
    this.page = page;
    page.setDefaultTimeout(20_000);
    page.on("pageerror", (error) => this.faults.push(error.message));
    page.on("dialog", (dialog) => {
      this.faults.push(`a dialog said ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on("console", (message) => {
      if (/Content Security Policy/.test(message.text())) this.faults.push(message.text());
    });
  }

  static async open(page: Page, url: string): Promise<Tab> {
    const tab = new Tab(page);
    await page.goto(url);
    return tab;
  }

  /** Text of the element that has the focus, its label where it has none. */
  focused(): Promise<string> {
    return this.page.evaluate<string>(
      "(at => at.textContent || at.getAttribute('aria-label') || at.tagName)(document.activeElement)",
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.page.context().close();
  }
}
