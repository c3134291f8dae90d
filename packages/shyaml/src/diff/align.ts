/** Two places of one value. */
export type Match = readonly [before: number, after: number];

/** Up to this many values on both sides together the longest common subsequence is sought; of more, what is found by unique values. */
const MAX_EXACT = 2_000;

/**
 * Pairs equal values of two lists so that their order is the same: a longest common subsequence of short lists, one that
 * anchors at values that are unique in both of long ones.
 */
export function align(before: readonly number[], after: readonly number[]): Match[] {
  const matches: Match[] = [];
  const gaps: [number, number, number, number][] = [[0, before.length, 0, after.length]];
  for (let gap = gaps.pop(); gap !== undefined; gap = gaps.pop()) {
    let [a, aEnd, b, bEnd] = gap;
    while (a < aEnd && b < bEnd && before[a] === after[b]) matches.push([a++, b++]);
    while (a < aEnd && b < bEnd && before[aEnd - 1] === after[bEnd - 1]) matches.push([--aEnd, --bEnd]);
    if (a === aEnd || b === bEnd) continue;
    if (aEnd - a + bEnd - b <= MAX_EXACT) {
      matches.push(...shortest(before, a, aEnd, after, b, bEnd));
      continue;
    }
    let [fromA, fromB] = [a, b];
    const anchors = uniqueMatches(before, a, aEnd, after, b, bEnd);
    if (anchors.length === 0) continue;
    for (const [i, j] of anchors) {
      matches.push([i, j]);
      gaps.push([fromA, i, fromB, j]);
      [fromA, fromB] = [i + 1, j + 1];
    }
    gaps.push([fromA, aEnd, fromB, bEnd]);
  }
  return matches.sort(([a], [b]) => a - b);
}

/** Myers' greedy algorithm: the fewest insertions and deletions that make one list of the other. */
function shortest(
  before: readonly number[],
  a: number,
  aEnd: number,
  after: readonly number[],
  b: number,
  bEnd: number,
): Match[] {
  const n = aEnd - a;
  const m = bEnd - b;
  const max = n + m;
  const reach = new Int32Array(2 * max + 2);
  const trace: Int32Array[] = [];
  for (let d = 0; d <= max; d++) {
    trace.push(reach.slice(max - d, max + d + 2));
    for (let k = -d; k <= d; k += 2) {
      const isDown = k === -d || (k !== d && reach[max + k - 1]! < reach[max + k + 1]!);
      let x = isDown ? reach[max + k + 1]! : reach[max + k - 1]! + 1;
      while (x < n && x - k < m && before[a + x] === after[b + x - k]) x++;
      reach[max + k] = x;
      if (x >= n && x - k >= m) return walkBack(trace, n, m, a, b);
    }
  }
  return [];
}

/** @param trace Of each number of edits `d` the reach of diagonals `-d` to `d + 1` before its step. */
function walkBack(trace: readonly Int32Array[], n: number, m: number, a: number, b: number): Match[] {
  const matches: Match[] = [];
  let [x, y] = [n, m];
  for (let d = trace.length - 1; d >= 0; d--) {
    const reach = trace[d]!;
    const at = (k: number) => reach[k + d]!;
    const k = x - y;
    const isDown = k === -d || (k !== d && at(k - 1) < at(k + 1));
    const previous = isDown ? k + 1 : k - 1;
    const fromX = d === 0 ? 0 : at(previous);
    const fromY = d === 0 ? 0 : fromX - previous;
    while (x > fromX && y > fromY && x > 0 && y > 0) matches.push([a + --x, b + --y]);
    if (d > 0) [x, y] = [fromX, fromY];
  }
  return matches;
}

function uniqueMatches(
  before: readonly number[],
  a: number,
  aEnd: number,
  after: readonly number[],
  b: number,
  bEnd: number,
): Match[] {
  const places = uniquePlaces(before, a, aEnd);
  const matches: Match[] = [];
  for (const [id, j] of uniquePlaces(after, b, bEnd)) {
    const i = places.get(id);
    if (i !== undefined) matches.push([i, j]);
  }
  matches.sort(([i], [j]) => i - j);
  const kept = longestRising(matches.map(([, j]) => j));
  return matches.filter((_, at) => kept.has(at));
}

function uniquePlaces(ids: readonly number[], from: number, end: number): Map<number, number> {
  const places = new Map<number, number>();
  const repeated = new Set<number>();
  for (let i = from; i < end; i++) {
    if (places.has(ids[i]!)) repeated.add(ids[i]!);
    else places.set(ids[i]!, i);
  }
  for (const id of repeated) places.delete(id);
  return places;
}

/** The places of a longest subsequence that rises. Those not in it have to be moved, and no fewer can be. */
export function longestRising(values: readonly number[]): Set<number> {
  const tails: number[] = [];
  const previous = new Int32Array(values.length).fill(-1);
  values.forEach((value, i) => {
    let low = 0;
    let high = tails.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (values[tails[middle]!]! < value) low = middle + 1;
      else high = middle;
    }
    if (low > 0) previous[i] = tails[low - 1]!;
    tails[low] = i;
  });
  const kept = new Set<number>();
  for (let at = tails.at(-1) ?? -1; at >= 0; at = previous[at]!) kept.add(at);
  return kept;
}
