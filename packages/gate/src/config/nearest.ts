/** `; did you mean "unit-tests"?`, or nothing when no candidate is near. */
export function suggestion(word: string, candidates: Iterable<string>): string {
  const wanted = word.toLowerCase();
  // One slip for a short word, more for a long one; of one letter nothing would be left.
  let best = Math.min(word.length, Math.max(1, Math.floor(word.length / 3)) + 1);
  let found: string | undefined;
  for (const candidate of candidates) {
    const distance = editDistance(wanted, candidate.toLowerCase(), best);
    if (distance < best) {
      best = distance;
      found = candidate;
    }
  }
  return found === undefined ? "" : `; did you mean "${found}"?`;
}

/** A message without what `suggestion` has added to it. */
export function withoutSuggestion(message: string): string {
  return message.replace(/; did you mean "[^"]*"\?/, "");
}

/** Insertions, deletions and substitutions from one to the other, a swap of neighbours being one; `limit` when no less. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let cost = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, beforeLast[j - 2]! + 1);
      }
      row.push(cost);
    }
    if (Math.min(...row) >= limit) return limit;
    beforeLast = last;
    last = row;
  }
  return Math.min(limit, last[b.length]!);
}
