/**
 * Whether a glob matches all of a name: `*` is any run of characters, `?` any one. Both are byte strings. Takes at most
 * glob × name steps, whatever the glob, since it is asked for what a peer sends.
 */
export function matchesGlob(glob: string, name: string): boolean {
  let g = 0;
  let n = 0;
  /** Where to go on when what follows the last star does not fit: the star takes one character more. */
  let star = -1;
  let taken = 0;
  while (n < name.length) {
    if (glob[g] === "*") {
      star = g++;
      taken = n;
    } else if (g < glob.length && (glob[g] === "?" || glob[g] === name[n])) {
      g++;
      n++;
    } else if (star >= 0) {
      g = star + 1;
      n = ++taken;
    } else {
      return false;
    }
  }
  while (glob[g] === "*") g++;
  return g === glob.length;
}
