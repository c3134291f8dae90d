/** Bits that are kept for each number. */
const MEMBER = 1;
const QUEUED = 2;

const FEWEST_PLACES = 8;
/** A line longer than this is given back when it is empty. */
const KEPT_PLACES = 1024;

/**
 * A set of small numbers that hands out its members in turn: the one first that was added first, and each again behind
 * all others. Every operation costs O(1), amortised, however many members there are.
 *
 * They stand in a line. One that is deleted stays in it until its turn comes, which is then passed over, except when it
 * is the last: it has just had its turn, as nearly all that are deleted. One that is added again before that keeps the
 * place, so that nobody stands in the line twice.
 */
export class ReadyQueue {
  #size = 0;
  /** `MEMBER` and `QUEUED`, by number. */
  #bits = new Uint8Array(0);
  /** The line, a ring of a power of two places. */
  #line = new Uint32Array(FEWEST_PLACES);
  #first = 0;
  #length = 0;

  get isEmpty(): boolean {
    return this.#size === 0;
  }

  add(member: number): void {
    if (member >= this.#bits.length) this.#growBits(member + 1);
    const bits = this.#bits[member]!;
    if ((bits & MEMBER) !== 0) return;
    this.#size++;
    this.#bits[member] = MEMBER | QUEUED;
    if ((bits & QUEUED) === 0) this.#append(member);
  }

  delete(member: number): void {
    if (member >= this.#bits.length || (this.#bits[member]! & MEMBER) === 0) return;
    this.#size--;
    const last = (this.#first + this.#length - 1) & (this.#line.length - 1);
    const isLast = this.#line[last] === member;
    if (isLast) this.#length--;
    this.#bits[member] = isLast ? 0 : QUEUED;
  }

  /** The next member in turn, or -1 when there is none. The member stays in the set. */
  next(): number {
    const found = this.peek();
    if (found >= 0) {
      this.#shift();
      this.#append(found);
    }
    return found;
  }

  /** What `next` would give, without taking its turn. */
  peek(): number {
    while (this.#length > 0) {
      const first = this.#line[this.#first]!;
      if ((this.#bits[first]! & MEMBER) !== 0) return first;
      this.#bits[first] = 0;
      this.#shift();
    }
    if (this.#line.length > KEPT_PLACES) this.#line = new Uint32Array(FEWEST_PLACES);
    this.#first = 0;
    return -1;
  }

  clear(): void {
    this.#size = 0;
    this.#length = 0;
    this.#bits.fill(0);
  }

  #shift(): void {
    this.#first = (this.#first + 1) & (this.#line.length - 1);
    this.#length--;
  }

  #append(member: number): void {
    if (this.#length === this.#line.length) this.#growLine();
    this.#line[(this.#first + this.#length) & (this.#line.length - 1)] = member;
    this.#length++;
  }

  #growLine(): void {
    const line = new Uint32Array(this.#line.length * 2);
    const behind = this.#line.subarray(this.#first);
    line.set(behind);
    line.set(this.#line.subarray(0, this.#first), behind.length);
    this.#line = line;
    this.#first = 0;
  }

  #growBits(numbers: number): void {
    const bits = new Uint8Array(Math.max(numbers, this.#bits.length * 2, FEWEST_PLACES));
    bits.set(this.#bits);
    this.#bits = bits;
  }
}
