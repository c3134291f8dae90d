const WORD_BITS = 32;

/**
 * A set of small numbers that hands out its members in turn, starting behind the one handed out last. A tree of
 * bitmaps (32 members a word, 32 words a word above) makes every operation cost the height, which is at most four
 * for a million members, however many are in the set.
 */
export class ReadyRing {
  /** `levels[0]` holds the members; a bit above is set while its word below is not zero. */
  #levels: Uint32Array[] = [new Uint32Array(1)];
  #cursor = 0;

  get isEmpty(): boolean {
    const top = this.#levels[this.#levels.length - 1]!;
    return top[0] === 0;
  }

  add(member: number): void {
    if (member >>> 5 >= this.#levels[0]!.length) this.#grow(member + 1);
    let bit = member;
    for (const words of this.#levels) {
      const word = bit >>> 5;
      const before = words[word]!;
      words[word] = before | (1 << (bit & 31));
      if (before !== 0) return;
      bit = word;
    }
  }

  delete(member: number): void {
    let bit = member;
    for (const words of this.#levels) {
      const word = bit >>> 5;
      if (word >= words.length) return;
      const after = words[word]! & ~(1 << (bit & 31));
      words[word] = after;
      if (after !== 0) return;
      bit = word;
    }
  }

  /** The next member in turn, or -1 when there is none. The member stays in the set. */
  next(): number {
    const found = this.peek();
    if (found >= 0) this.#cursor = found + 1;
    return found;
  }

  /** What `next` would give, without taking its turn. */
  peek(): number {
    if (this.isEmpty) return -1;
    const found = this.#atOrAfter(this.#cursor);
    return found < 0 ? this.#atOrAfter(0) : found;
  }

  clear(): void {
    for (const words of this.#levels) words.fill(0);
  }

  #atOrAfter(from: number): number {
    const levels = this.#levels;
    let level = 0;
    let bit = from;
    // Climb until a word holds a later bit, then walk down its lowest bits.
    for (;;) {
      if (level === levels.length) return -1;
      const words = levels[level]!;
      const word = bit >>> 5;
      const later = word < words.length ? words[word]! & (-1 << (bit & 31)) : 0;
      if (later !== 0) {
        bit = word * WORD_BITS + lowestBit(later);
        break;
      }
      bit = word + 1;
      // At the edge of a word above, `bit & 31` is 0 and the next word there is looked at as a whole.
      level++;
    }
    while (level > 0) {
      level--;
      bit = bit * WORD_BITS + lowestBit(levels[level]![bit]!);
    }
    return bit;
  }

  #grow(members: number): void {
    const old = this.#levels[0]!;
    let size = old.length;
    while (size * WORD_BITS < members) size *= 2;
    const bottom = new Uint32Array(size);
    bottom.set(old);
    const levels = [bottom];
    while (levels[levels.length - 1]!.length > 1) {
      const below = levels[levels.length - 1]!;
      const words = new Uint32Array(Math.ceil(below.length / WORD_BITS));
      for (let i = 0; i < below.length; i++) if (below[i] !== 0) words[i >>> 5]! |= 1 << (i & 31);
      levels.push(words);
    }
    this.#levels = levels;
  }
}

function lowestBit(word: number): number {
  return 31 - Math.clz32(word & -word);
}
