import type net from "node:net";

/** What a socket of Node writes through, as far as it is used here. */
interface StreamHandle {
  /** Tries to write at once. Returns 0, or the negative number of a system's error. */
  writeBuffer(request: object, chunk: Uint8Array): number;
  writev(request: object, chunks: readonly Uint8Array[], allAreBytes: true): number;
}

/** A write that could not be done at once. Node tells its end through it. */
interface WriteRequest {
  oncomplete?: (status: number) => void;
  /** Kept from the collector for as long as the system may read it. */
  chunks?: readonly Uint8Array[];
}

interface StreamWrap {
  readonly WriteWrap: new () => WriteRequest;
  /** Numbers that Node's own code reads after a call; the next two are places in it. */
  readonly streamBaseState: ArrayLike<number>;
  readonly kLastWriteWasAsync: number;
}

const wrap = streamWrap();
/** Only a write that cannot be done at once uses its request up. */
let spare: WriteRequest | undefined = wrap && new wrap.WriteWrap();

/**
 * Writes to a socket past its stream, for which each write is objects, a callback and a look at what the callback left to
 * do: 5 % of a server's time under small jobs (bench/README.md). Node has no documented way to do that, so where its
 * insides are not as known here, and in other runtimes, there is no such writer and the stream does it all.
 */
export class DirectWriter {
  /** Bytes of a write that could not be done at once and has not ended. */
  queuedBytes = 0;
  readonly #handle: StreamHandle;
  readonly #onEnd: (failed: boolean) => void;

  private constructor(handle: StreamHandle, onEnd: (failed: boolean) => void) {
    this.#handle = handle;
    this.#onEnd = onEnd;
  }

  /**
   * The writer of a connected socket, or undefined where there cannot be one.
   * @param onEnd Told when a `queued` write has ended.
   */
  static of(socket: net.Socket, onEnd: (failed: boolean) => void): DirectWriter | undefined {
    const handle = (socket as unknown as { _handle?: Partial<StreamHandle> | null })._handle;
    const isKnown = typeof handle?.writeBuffer === "function" && typeof handle.writev === "function";
    return wrap !== undefined && isKnown ? new DirectWriter(handle as StreamHandle, onEnd) : undefined;
  }

  /**
   * Writes the chunks, in order. Nothing may be queued, here or in the socket's stream.
   * @returns `taken` when the chunks are no longer needed; `queued` when they still are, and what the stream is given
   * from now on comes behind them; `refused` when nothing was written, and the stream will find out why.
   */
  write(chunks: readonly Uint8Array[]): "taken" | "queued" | "refused" {
    const { WriteWrap, streamBaseState, kLastWriteWasAsync } = wrap!;
    spare ??= new WriteWrap();
    const request = spare;
    const handle = this.#handle;
    const error =
      chunks.length === 1 ? handle.writeBuffer(request, chunks[0]!) : handle.writev(request, chunks, true);
    if (error !== 0) return "refused";
    if (streamBaseState[kLastWriteWasAsync] === 0) return "taken";
    spare = undefined;
    let bytes = 0;
    for (const chunk of chunks) bytes += chunk.length;
    this.queuedBytes = bytes;
    request.chunks = chunks.slice();
    request.oncomplete = (status) => {
      this.queuedBytes = 0;
      this.#onEnd(status < 0);
    };
    return "queued";
  }
}

function streamWrap(): StreamWrap | undefined {
  try {
    const { binding } = process as unknown as { binding(name: string): Partial<StreamWrap> };
    const { WriteWrap, streamBaseState, kLastWriteWasAsync } = binding("stream_wrap");
    if (typeof WriteWrap !== "function" || typeof kLastWriteWasAsync !== "number" || !streamBaseState) {
      return undefined;
    }
    return { WriteWrap, streamBaseState, kLastWriteWasAsync };
  } catch {
    return undefined;
  }
}
