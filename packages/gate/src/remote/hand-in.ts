import { createReadStream } from "node:fs";
import { join } from "node:path";
import type { Artifact, ExecutionStore } from "../executor/index.ts";
import { type AskOptions, type GateLink, RemoteError } from "./gate-link.ts";

/** What is written within so long goes to the gate in one piece. */
const GATHER_MS = 200;
/** After the gate did not take a piece. */
const AGAIN_MS = 2_000;
const PIECE_BYTES = 1024 * 1024;

/** Brings the log of an execution to the gate while it grows, and in the end all that is left of it, with its artifacts. */
export class HandIn {
  readonly #gate: GateLink;
  readonly #store: ExecutionStore;
  readonly #execution: string;
  /** What the gate has. */
  #sent = 0;
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> = Promise.resolve();
  #isOver = false;
  /** The gate takes nothing of it. */
  #refused: RemoteError | undefined;

  constructor(gate: GateLink, store: ExecutionStore, execution: string) {
    this.#gate = gate;
    this.#store = store;
    this.#execution = execution;
  }

  /** There is more in the log. */
  more(delayMs = GATHER_MS): void {
    if (this.#isOver || this.#timer !== undefined || this.#refused !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#sending = this.#send({ patienceMs: 0 }).then(
        () => {
          this.#timer = undefined;
        },
        () => {
          this.#timer = undefined;
          this.more(AGAIN_MS);
        },
      );
    }, delayMs).unref();
  }

  /**
   * Nothing is written any more: brings all of it.
   * @returns what the gate did not take, in sentences
   */
  async finish(artifacts: readonly Artifact[], options: AskOptions = {}): Promise<string[]> {
    this.#isOver = true;
    clearTimeout(this.#timer);
    await this.#sending;
    const problems: string[] = [];
    const attempt = async (what: string, act: () => Promise<unknown>): Promise<void> => {
      if (this.#refused !== undefined && this.#refused.code === "GATE_UNREACHABLE") return;
      try {
        await act();
      } catch (error) {
        if (!(error instanceof RemoteError)) throw error;
        if (error.code === "GATE_UNREACHABLE") this.#refused = error;
        problems.push(`${what} did not reach the gate: ${error.message}`);
      }
    };
    await attempt("the log", () => this.#send(options));
    for (const { name } of artifacts) {
      const folder = this.#store.folderOf(this.#execution);
      if (folder === undefined) break;
      const path = `/executions/${this.#execution}/artifacts/${name.split("/").map(encodeURIComponent).join("/")}`;
      const content = () =>
        createReadStream(join(folder, "artifacts", name)) as unknown as NonNullable<RequestInit["body"]>;
      await attempt(`artifact ${name}`, () => this.#gate.ask("PUT", path, content, options));
    }
    return problems;
  }

  async #send(options: AskOptions): Promise<void> {
    for (;;) {
      const chunk = await this.#store.readLog(this.#execution, this.#sent, PIECE_BYTES);
      if (chunk === undefined || chunk.bytes.length === 0) return;
      const path = `/executions/${this.#execution}/log?from=${this.#sent}`;
      try {
        const { bytes } = await this.#gate.ask<{ readonly bytes: number }>(
          "PUT",
          path,
          () => Buffer.from(chunk.bytes),
          options,
        );
        this.#sent = bytes;
      } catch (error) {
        if (error instanceof RemoteError && error.code === "GATE_REFUSES_WORKER") this.#refused = error;
        throw error;
      }
    }
  }
}
