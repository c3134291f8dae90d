import { mkdtempSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Packet, PktReader, pkt, pktFlush } from "./pkt-line.ts";
import type { PushAnswer, PushCommand } from "./receive.ts";

/** What the hook tells of a push. */
export interface HookedPush {
  /** Of the repository, as git sees it. */
  readonly directory: string;
  /** What the gate gave to a push that came over HTTP. */
  readonly grant: string | undefined;
  /** Of a push by path: `DROVER_TOKEN`, or the push option `token=`. */
  readonly token: string | undefined;
  readonly commands: readonly PushCommand[];
  readonly options: readonly string[];
  readonly isAtomic: boolean;
}

/** A path of a Unix socket has at most 107 bytes. */
const MAX_SOCKET_BYTES = 100;
const MAX_CONNECTIONS = 256;
const MAX_HEAD_BYTES = 64 * 1024;
const MAX_PUSH_BYTES = 4 * 1024 * 1024;
/** How long the hook may take to say what is pushed. */
const PUSH_TIMEOUT_MS = 30_000;

/** Where the hook reaches the gate. */
export class HookServer {
  readonly path: string;
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();
  readonly #answer: (push: HookedPush) => Promise<PushAnswer>;
  readonly #isOwnFolder: boolean;

  private constructor(path: string, isOwnFolder: boolean, answer: (push: HookedPush) => Promise<PushAnswer>) {
    this.path = path;
    this.#isOwnFolder = isOwnFolder;
    this.#answer = answer;
    this.#server = net.createServer({ allowHalfOpen: true }, (socket) => this.#serve(socket));
    this.#server.maxConnections = MAX_CONNECTIONS;
  }

  /**
   * @param folder Where the socket is, unless its path would be too long for one.
   * @param answer Never rejects.
   */
  static async listen(
    folder: string,
    answer: (push: HookedPush) => Promise<PushAnswer>,
  ): Promise<HookServer> {
    const near = join(folder, "gate.sock");
    const isNear = Buffer.byteLength(near) <= MAX_SOCKET_BYTES;
    const path = isNear ? near : join(mkdtempSync(join(tmpdir(), "drover-gate-")), "gate.sock");
    // Whoever holds the database is the only gate here, so the socket of another is left over.
    rmSync(path, { force: true });
    const server = new HookServer(path, !isNear, answer);
    await new Promise<void>((resolve, reject) => {
      server.#server.once("error", reject);
      server.#server.listen(path, resolve);
    });
    return server;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
    if (this.#isOwnFolder) rmSync(dirname(this.path), { recursive: true, force: true });
  }

  #serve(socket: net.Socket): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    this.#talk(socket).catch(() => socket.destroy());
  }

  async #talk(socket: net.Socket): Promise<void> {
    const giveUp = setTimeout(() => socket.destroy(), PUSH_TIMEOUT_MS);
    const say = (channel: "o" | "e", bytes: Buffer): void => {
      socket.write(`${channel}${bytes.toString("base64")}\n`);
    };
    let push: HookedPush;
    let names: Buffer[];
    try {
      const reader = new PktReader(socket, MAX_PUSH_BYTES);
      const head = JSON.parse((await reader.line(MAX_HEAD_BYTES)).toString()) as Record<string, unknown>;
      const [hello] = await reader.section();
      const features = hello?.toString("latin1").split("\0")[1]?.trim().split(" ") ?? [];
      const takesOptions = features.includes("push-options");
      say("o", Buffer.concat([pkt(`version=1\0${takesOptions ? "push-options" : ""}`), pktFlush]));
      const packets = await reader.section();
      names = packets.map(nameOf);
      const commands = packets.map(readCommand);
      const options = takesOptions ? (await reader.section()).map(textOf) : [];
      push = readPush(head, commands, options, features.includes("atomic"));
    } finally {
      clearTimeout(giveUp);
    }
    const { lines, refs } = await this.#answer(push);
    if (lines.length > 0) say("e", Buffer.from(`${lines.join("\n")}\n\n`));
    const report: Buffer[] = [];
    for (const [at, answer] of refs.entries()) {
      if (answer.refused !== null) {
        report.push(
          pkt(
            Buffer.concat([
              Buffer.from("ng "),
              names[at]!,
              Buffer.from(` ${answer.refused.replace(/\s+/g, " ")}`),
            ]),
          ),
        );
        continue;
      }
      for (const update of answer.updates) {
        report.push(pkt(`ok ${answer.ref}`));
        if (update.ref === answer.ref) continue;
        report.push(pkt(`option refname ${update.ref}`));
        if (update.old !== null) report.push(pkt(`option old-oid ${update.old}`));
        report.push(pkt(`option new-oid ${update.new}`));
      }
    }
    say("o", Buffer.concat([...report, pktFlush]));
    socket.end(".\n");
  }
}

/** The hook is ours, but whoever may write to the socket may say anything. */
function readPush(
  head: Record<string, unknown>,
  commands: readonly PushCommand[],
  said: readonly string[],
  isAtomic: boolean,
): HookedPush {
  const text = (value: unknown): string | undefined =>
    typeof value === "string" && value !== "" ? value : undefined;
  const tokens = said.filter((option) => option.startsWith("token="));
  return {
    directory: text(head.directory) ?? "",
    grant: text(head.grant),
    token: tokens.at(-1)?.slice("token=".length) ?? text(head.token),
    commands,
    options: said.filter((option) => !option.startsWith("token=")),
    isAtomic,
  };
}

/** `OLD NEW REF` */
function readCommand(packet: Packet): PushCommand {
  const [old = "", to = "", ...rest] = textOf(packet).split(" ");
  if (!/^[0-9a-f]{40,64}$/.test(old) || !/^[0-9a-f]{40,64}$/.test(to) || rest.length === 0)
    throw new Error("not a command of git's");
  const idOf = (id: string): string | null => (/^0+$/.test(id) ? null : id);
  return { ref: rest.join(" "), old: idOf(old), new: idOf(to) };
}

/** The ref's bytes, which git wants back as they are. */
function nameOf(packet: Packet): Buffer {
  const start = packet.indexOf(" ", packet.indexOf(" ") + 1) + 1;
  return packet.subarray(start, packet.at(-1) === 10 ? -1 : undefined);
}

function textOf(packet: Packet): string {
  return packet.toString().replace(/\n$/, "");
}
