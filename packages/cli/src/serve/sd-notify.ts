import { type ChildProcess, spawn } from "node:child_process";
import type { Socket } from "node:net";

/** Between the variables of one message; no status has it. */
const SEPARATOR = "\x1f";

/**
 * Hands on one message a line, until there are no more: starting a program from a shell is cheap, from a server with much
 * memory it is not. `systemd-notify` ends when the message was taken, and an empty line tells that.
 */
const RELAY = `trap '' PIPE
IFS="$(printf '\\037')"
while read -r first second third; do
  systemd-notify "$first" \${second:+"$second"} \${third:+"$third"} >/dev/null
  echo
done`;

type Variable =
  `${"READY" | "RELOADING" | "STOPPING" | "STATUS" | "MONOTONIC_USEC" | "WATCHDOG" | "MAINPID"}=${string}`;

/**
 * Tells systemd how far the server is (sd_notify). Node has no datagram sockets of Unix, and modules that bring them are to
 * be compiled, so it goes through the program `systemd-notify`, which is there wherever systemd is. systemd takes that only
 * with `NotifyAccess=all` in the unit, since it comes from a process that is not the main one.
 */
export class SystemdNotifier {
  #relay: ChildProcess | undefined;
  readonly #watchdogMs: number;
  #watchdog: NodeJS.Timeout | undefined;
  /** Messages that the relay has, and systemd not for sure. */
  #untaken = 0;
  readonly #whenTaken: (() => void)[] = [];

  /** @param watchdogMs How often to say that the server lives; 0 = never. */
  private constructor(relay: ChildProcess, watchdogMs: number) {
    this.#relay = relay;
    this.#watchdogMs = watchdogMs;
  }

  /**
   * The one that the environment asks for, if it does.
   * @param onProblem Told when systemd cannot be; the server goes on.
   */
  static start(env: NodeJS.ProcessEnv, onProblem: (problem: string) => void): SystemdNotifier | undefined {
    if (env.NOTIFY_SOCKET === undefined || env.NOTIFY_SOCKET === "") return undefined;
    const relay = spawn("/bin/sh", ["-c", RELAY], {
      stdio: ["pipe", "pipe", "ignore"],
      // A signal to the process group must not end it before our last message.
      detached: true,
      env: { PATH: env.PATH, NOTIFY_SOCKET: env.NOTIFY_SOCKET },
    });
    const notifier = new SystemdNotifier(relay, watchdogMs(env));
    const lost = (problem: string) => {
      if (notifier.#relay === undefined) return;
      notifier.#relay = undefined;
      clearInterval(notifier.#watchdog);
      notifier.#took(notifier.#untaken);
      onProblem(problem);
    };
    relay.on("error", ({ message }) => lost(message));
    relay.on("exit", (code, signal) => lost(`the relay ended (${signal ?? code})`));
    relay.stdin!.on("error", ({ message }) => lost(message));
    // One byte a message.
    relay.stdout!.on("data", (lines: Buffer) => notifier.#took(lines.length));
    relay.unref();
    for (const pipe of [relay.stdin, relay.stdout]) (pipe as Socket).unref();
    return notifier;
  }

  /** What the server does, for `systemctl status`. */
  status(text: string): void {
    this.#send(status(text));
  }

  /** The server listens and has its jobs back. From now on the watchdog is served, where there is one. */
  ready(text: string): void {
    this.#send("READY=1", status(text));
    if (this.#watchdogMs === 0 || this.#watchdog !== undefined) return;
    // At once, since the process before this one, if there was one, may have done so last long ago.
    this.#send("WATCHDOG=1");
    // From the loop that serves jobs: when that hangs, systemd is to notice. A sign behind untaken ones tells nothing new.
    this.#watchdog = setInterval(() => this.#untaken === 0 && this.#send("WATCHDOG=1"), this.#watchdogMs);
    this.#watchdog.unref();
  }

  /** The configuration is read again; `ready` says that it was. */
  reloading(): void {
    this.#send("RELOADING=1", `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
  }

  /** Another process is the main one from now on, whose end is the end of the service. */
  mainProcess(pid: number): void {
    this.#send(`MAINPID=${pid}`);
  }

  stopping(text: string): void {
    this.#send("STOPPING=1", status(text));
  }

  /** Resolves when systemd has taken all that it was told, or cannot be told any more. */
  async taken(): Promise<void> {
    if (this.#untaken === 0 || this.#relay === undefined) return;
    // What waits for this may be all that the process still does.
    this.#relay.ref();
    (this.#relay.stdout as Socket).ref();
    await new Promise<void>((resolve) => this.#whenTaken.push(resolve));
  }

  #send(...variables: Variable[]): void {
    if (this.#relay === undefined) return;
    this.#untaken++;
    this.#relay.stdin!.write(`${variables.join(SEPARATOR)}\n`);
  }

  #took(messages: number): void {
    this.#untaken -= messages;
    if (this.#untaken > 0) return;
    for (const resolve of this.#whenTaken.splice(0)) resolve();
  }
}

function status(text: string): `STATUS=${string}` {
  return `STATUS=${text.replace(/\p{Cc}+/gu, " ")}`;
}

/** Half of what the unit allows between two signs of life, as sd_watchdog_enabled(3) advises. */
function watchdogMs({ WATCHDOG_USEC, WATCHDOG_PID }: NodeJS.ProcessEnv): number {
  if (WATCHDOG_PID !== undefined && WATCHDOG_PID !== String(process.pid)) return 0;
  const usec = Number(WATCHDOG_USEC);
  return Number.isFinite(usec) && usec > 0 ? Math.max(1, Math.floor(usec / 2000)) : 0;
}
