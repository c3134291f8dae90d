import { type ChildProcess, spawn } from "node:child_process";
import { type ListeningSocket, ListeningSockets } from "@drover/transport";
import { CommandFailed } from "../errors.ts";

/* One server process follows another on the same listening sockets. @see docs/decisions/0011-handing-over.md */

/** Tells a process which sockets it has from the one before it. */
const INHERITED = "DROVER_INHERITED";
/** The first descriptor behind the standard streams and the channel to the parent. */
const FIRST_FD = 4;

type ToPredecessor = "drover prepared" | "drover serves";
const RELEASED = "drover released";

/** The process that follows this one: the same command anew, so whatever is installed and configured by now. */
export class Successor {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /**
   * Resolves when it needs nothing more but what this process has.
   * @throws CommandFailed when it ended instead; it has said why on standard error or in the log.
   */
  static async start(sockets: ListeningSockets): Promise<Successor> {
    const handed = sockets.open;
    const inherited = handed.map(({ asked }, i): ListeningSocket => ({ asked, fd: FIRST_FD + i }));
    const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
      // systemd's watchdog is served by whoever is the server.
      env: { ...process.env, [INHERITED]: JSON.stringify(inherited), WATCHDOG_PID: undefined },
      stdio: ["ignore", "inherit", "inherit", "ipc", ...handed.map(({ fd }) => fd)],
    });
    const successor = new Successor(child);
    await successor.#said("drover prepared");
    return successor;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /**
   * Lets it go on: this process neither accepts connections any more nor has the store. Resolves when it serves.
   * @throws CommandFailed when it ended instead.
   */
  async release(): Promise<void> {
    const serves = this.#said("drover serves");
    this.#child.send(RELEASED);
    await serves;
    this.#child.unref();
  }

  /** It is not needed. */
  kill(): void {
    this.#child.kill();
  }

  #said(wanted: ToPredecessor): Promise<void> {
    const child = this.#child;
    return new Promise((resolve, reject) => {
      const failed = (detail: string) =>
        reject(new CommandFailed("START_FAILED", `the process that was to take over ${detail}`));
      const onMessage = (message: unknown) => {
        if (message !== wanted) return;
        child.off("message", onMessage).off("exit", onExit);
        resolve();
      };
      const onExit = (code: number | null, signal: string | null) => failed(`ended (${signal ?? code})`);
      child.on("message", onMessage).once("exit", onExit);
      child.once("error", ({ message }) => failed(`did not start (${message})`));
    });
  }
}

/** The process that this one follows. */
export class Predecessor {
  readonly sockets: ListeningSockets;

  private constructor(sockets: ListeningSockets) {
    this.sockets = sockets;
  }

  /** The one that the environment tells of, once. */
  static take(env: NodeJS.ProcessEnv): Predecessor | undefined {
    const text = env[INHERITED];
    delete env[INHERITED];
    if (text === undefined || !process.connected) return undefined;
    return new Predecessor(new ListeningSockets(JSON.parse(text) as ListeningSocket[]));
  }

  /**
   * Tells that only what the predecessor has is missing, and resolves when it has let go of that.
   * @throws CommandFailed when it ended without: it was asked to end, or has crashed.
   */
  async released(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const onGone = () =>
        reject(new CommandFailed("START_FAILED", "the process to be followed ended before it handed over"));
      process.once("disconnect", onGone);
      process.on("message", (message) => {
        if (message !== RELEASED) return;
        process.off("disconnect", onGone);
        resolve();
      });
      this.#tell("drover prepared");
    });
  }

  /** Tells that this process serves; the predecessor ends then. */
  serves(): void {
    this.sockets.closeUnused();
    if (!process.connected) return;
    this.#tell("drover serves");
    process.disconnect();
  }

  #tell(what: ToPredecessor): void {
    process.send?.(what);
  }
}
