import { afterEach, describe, expect, it } from "vitest";
import type { Connection, ConnectionHandlers } from "../src/index.ts";

/** Two ends of one connection and how to get rid of what carries it. */
export interface Pair {
  readonly near: Connection;
  readonly far: Connection;
  dispose(): Promise<void>;
}

/** What one end was told, with promises for what is awaited instead of sleeps. */
export class Recorder implements ConnectionHandlers {
  readonly chunks: Uint8Array[] = [];
  readonly told: string[] = [];
  bytes = 0;
  closes = 0;
  error: Error | undefined;
  onData: ((chunk: Uint8Array) => void) | undefined;
  readonly #counts = new Map<string, number>();
  readonly #waiting = new Set<() => void>();

  data(chunk: Uint8Array): void {
    this.chunks.push(Uint8Array.from(chunk));
    this.bytes += chunk.length;
    this.onData?.(chunk);
    this.#changed("data");
  }
  drain(): void {
    this.#changed("drain");
  }
  close(error?: Error): void {
    this.closes++;
    this.error = error;
    this.#changed("close");
  }

  count(what: string): number {
    return this.#counts.get(what) ?? 0;
  }

  joined(): Buffer {
    return Buffer.concat(this.chunks);
  }

  /** Resolves once `condition` holds, looked at after everything that is told. */
  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (!condition()) return;
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
      look();
    });
  }

  protected note(what: string): void {
    this.#changed(what);
  }

  #changed(what: string): void {
    this.told.push(what);
    this.#counts.set(what, this.count(what) + 1);
    for (const look of this.#waiting) look();
  }
}

/** A recorder that decides itself what to do when the peer ends. */
export class HalfOpenRecorder extends Recorder {
  ended(): void {
    this.note("ended");
  }
}

const MIB = 1_048_576;

/** Bytes in which every place differs from its neighbours, so that a loss or a swap shows. */
export function pattern(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = (i ^ (i >>> 8) ^ (i >>> 16)) & 0xff;
  return bytes;
}

/**
 * What every `Connection` promises. `connect` makes a fresh pair and attaches these handlers to its ends.
 * @param halfOpen Whether one direction can end alone. Default: true.
 * @param destroyCuts Whether `destroy` keeps what is unsent from being sent. Default: true.
 */
export function connectionConformance(
  name: string,
  connect: (near: ConnectionHandlers, far: ConnectionHandlers) => Promise<Pair>,
  { halfOpen = true, destroyCuts = true } = {},
): void {
  describe(`${name} keeps the promises of a connection`, () => {
    const pairs: Pair[] = [];
    afterEach(async () => {
      for (const pair of pairs.splice(0)) {
        pair.near.destroy();
        pair.far.destroy();
        await pair.dispose();
      }
    });

    async function open<F extends Recorder = Recorder>(
      far: F = new Recorder() as F,
    ): Promise<{ near: Connection; far: Connection; nearTold: Recorder; farTold: F }> {
      const nearTold = new Recorder();
      const pair = await connect(nearTold, far);
      pairs.push(pair);
      return { near: pair.near, far: pair.far, nearTold, farTold: far };
    }

    it("bytes arrive in order, from one chunk and from many, both ways", async () => {
      const { near, far, nearTold, farTold } = await open();
      near.send([Buffer.from("one ")]);
      near.send([Buffer.from("two "), Buffer.from(""), Buffer.from("three "), Buffer.from("four")]);
      far.send([Buffer.from("back")]);
      await farTold.until(() => farTold.bytes === 18);
      await nearTold.until(() => nearTold.bytes === 4);
      expect(farTold.joined().toString()).toBe("one two three four");
      expect(nearTold.joined().toString()).toBe("back");
    });

    it("what was taken at once may be overwritten, without harm to what arrives", async () => {
      const { near, farTold } = await open();
      const memory = Buffer.alloc(64);
      const sent: string[] = [];
      for (let i = 0; i < 200; i++) {
        const text = `message ${i};`;
        memory.write(text, "latin1");
        const chunks =
          i % 2 === 0
            ? [memory.subarray(0, text.length)]
            : [memory.subarray(0, 4), memory.subarray(4, text.length)];
        expect(near.send(chunks)).toBe(true);
        sent.push(text);
      }
      const expected = sent.join("");
      await farTold.until(() => farTold.bytes === expected.length);
      expect(farTold.joined().toString()).toBe(expected);
    });

    it("a peer that does not read makes send return false; drain follows when it reads again", async () => {
      const { near, far, nearTold, farTold } = await open();
      far.pause();
      const chunk = pattern(MIB);
      let sent = 0;
      let taken = true;
      while (taken && sent < 256) {
        taken = near.send([chunk]);
        sent++;
      }
      expect(taken).toBe(false);
      expect(near.unsentBytes).toBeGreaterThan(0);
      // A small one behind a large one waits as well.
      expect(near.send([chunk.subarray(0, 10)])).toBe(false);
      expect(nearTold.count("drain")).toBe(0);
      far.resume();
      await nearTold.until(() => nearTold.count("drain") > 0);
      expect(near.unsentBytes).toBe(0);
      await farTold.until(() => farTold.bytes === sent * MIB + 10);
      expect(nearTold.count("drain")).toBe(1);
    });

    it("each false is followed by a drain, time and again", async () => {
      const { near, nearTold, farTold } = await open();
      const chunk = pattern(8 * MIB);
      let total = 0;
      for (let round = 1; round <= 3; round++) {
        let taken = true;
        while (taken) {
          taken = near.send([chunk.subarray(0, 10), chunk]);
          total += chunk.length + 10;
        }
        await nearTold.until(() => nearTold.count("drain") === round);
      }
      await farTold.until(() => farTold.bytes === total);
    });

    it("a paused end is told nothing until it resumes, and loses nothing", async () => {
      const { near, far, nearTold, farTold } = await open();
      far.pause();
      near.send([Buffer.from("held")]);
      // A round trip the other way shows that there was time for the bytes to arrive.
      far.send([Buffer.from("!")]);
      await nearTold.until(() => nearTold.bytes === 1);
      expect(farTold.bytes).toBe(0);
      far.resume();
      await farTold.until(() => farTold.bytes === 4);
      expect(farTold.joined().toString()).toBe("held");
    });

    it("pausing from within data holds back what follows", async () => {
      const { near, far, nearTold, farTold } = await open();
      farTold.onData = () => far.pause();
      const bytes = pattern(4 * MIB);
      near.send([bytes]);
      await farTold.until(() => farTold.chunks.length === 1);
      far.send([Buffer.from("!")]);
      await nearTold.until(() => nearTold.bytes === 1);
      expect(farTold.chunks.length).toBe(1);
      farTold.onData = undefined;
      far.resume();
      await farTold.until(() => farTold.bytes === bytes.length);
      expect(farTold.joined().equals(bytes)).toBe(true);
    });

    it("10 MiB go through whole, both ways at once", async () => {
      const { near, far, nearTold, farTold } = await open();
      const bytes = pattern(10 * MIB);
      const parts: Uint8Array[] = [];
      for (let offset = 0; offset < bytes.length; offset += 300_001)
        parts.push(bytes.slice(offset, offset + 300_001));
      near.send(parts);
      for (const part of parts) far.send([part]);
      await farTold.until(() => farTold.bytes >= bytes.length);
      await nearTold.until(() => nearTold.bytes >= bytes.length);
      expect(farTold.joined().equals(bytes)).toBe(true);
      expect(nearTold.joined().equals(bytes)).toBe(true);
    });

    it("end sends what is unsent, then both ends are told close once and without an error", async () => {
      const { near, nearTold, farTold } = await open();
      const bytes = pattern(6 * MIB);
      near.send([bytes]);
      near.end();
      await farTold.until(() => farTold.closes > 0);
      await nearTold.until(() => nearTold.closes > 0);
      expect(farTold.joined().equals(bytes)).toBe(true);
      expect([nearTold.closes, farTold.closes]).toEqual([1, 1]);
      expect([nearTold.error, farTold.error]).toEqual([undefined, undefined]);
    });

    if (halfOpen) {
      it("a peer that keeps its half open is told ended, may still send, and closes when it ends", async () => {
        const { near, far, nearTold, farTold } = await open(new HalfOpenRecorder());
        near.send([Buffer.from("question")]);
        far.pause();
        near.end();
        far.resume();
        await farTold.until(() => farTold.count("ended") === 1);
        expect(farTold.joined().toString()).toBe("question");
        expect(farTold.closes).toBe(0);
        expect(far.send([Buffer.from("an answer nobody reads")])).toBe(true);
        far.end();
        await nearTold.until(() => nearTold.closes > 0);
        await farTold.until(() => farTold.closes > 0);
        expect(nearTold.bytes).toBe(0);
        expect([nearTold.closes, farTold.closes]).toEqual([1, 1]);
      });
    } else {
      it("a peer that would keep its half open is told close, and never ended", async () => {
        const { near, far, nearTold, farTold } = await open(new HalfOpenRecorder());
        near.send([Buffer.from("question")]);
        far.pause();
        near.end();
        far.resume();
        await farTold.until(() => farTold.closes > 0);
        await nearTold.until(() => nearTold.closes > 0);
        expect(farTold.joined().toString()).toBe("question");
        expect(farTold.count("ended")).toBe(0);
        expect([nearTold.error, farTold.error]).toEqual([undefined, undefined]);
      });
    }

    it("both ends may end at the same time", async () => {
      const { near, far, nearTold, farTold } = await open();
      near.end();
      far.end();
      await nearTold.until(() => nearTold.closes > 0);
      await farTold.until(() => farTold.closes > 0);
      expect([nearTold.closes, farTold.closes]).toEqual([1, 1]);
    });

    it("destroy loses what is unsent; close is told once, and not from within destroy", async () => {
      const { near, far, nearTold, farTold } = await open();
      far.pause();
      const bytes = pattern(64 * MIB);
      expect(near.send([bytes])).toBe(false);
      near.destroy();
      near.destroy();
      expect(nearTold.closes).toBe(0);
      await nearTold.until(() => nearTold.closes > 0);
      far.resume();
      await farTold.until(() => farTold.closes > 0);
      if (destroyCuts) expect(farTold.bytes).toBeLessThan(bytes.length);
      expect([nearTold.closes, farTold.closes]).toEqual([1, 1]);
      expect(nearTold.error).toBeUndefined();
      expect(nearTold.count("drain")).toBe(0);
    });

    it("sending, ending and pausing after the end change nothing", async () => {
      const { near, nearTold, farTold } = await open();
      near.send([Buffer.from("last")]);
      near.end();
      expect(near.send([Buffer.from("too late")])).toBe(true);
      near.end();
      await farTold.until(() => farTold.closes > 0);
      await nearTold.until(() => nearTold.closes > 0);
      expect(near.send([Buffer.from("much too late")])).toBe(true);
      near.pause();
      near.resume();
      near.end();
      near.destroy();
      expect(farTold.joined().toString()).toBe("last");
      expect([nearTold.closes, farTold.closes]).toEqual([1, 1]);
    });

    it("destroying from within data tells close once", async () => {
      const { near, far, nearTold, farTold } = await open();
      farTold.onData = () => far.destroy();
      near.send([pattern(MIB)]);
      await farTold.until(() => farTold.closes > 0);
      expect(farTold.chunks.length).toBe(1);
      near.send([Buffer.from("?")]);
      await nearTold.until(() => nearTold.closes > 0);
      expect([nearTold.closes, farTold.closes]).toEqual([1, 1]);
    });
  });
}
