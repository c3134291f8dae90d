import { git } from "../src/git/git.ts";

/* Small histories of two branches that parted, made from a seed: whatever git lets people do to files. */

export interface History {
  readonly seed: number;
  readonly base: string;
  readonly change: string;
}

interface File {
  readonly mode: string;
  /** One character for each byte; of a submodule its commit. */
  readonly content: string;
}

/** By path, one character for each byte. */
type Tree = Map<string, File>;

const NAMES = [
  "a.txt",
  "b.txt",
  "c.txt",
  "notes.u",
  "data.b",
  "src/main.c",
  "src/lib/deep/er/still/x.c",
  "src/lib/y.c",
  "docs/one.md",
  "docs/two.md",
  "caf\xe9.txt",
  'sp ace/qu"ote.txt',
  "\xff\xfe/z",
  "\xc3\xbc.txt",
];

const ATTRIBUTES = [
  "*.u merge=union\n",
  "*.b -merge\n",
  "*.b binary\n*.u merge=union\n",
  "* -text\n",
  "docs/*.md merge=union\n",
];

/** Numbers from 0 up to 1, always the same for a seed. */
export function chance(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

class Maker {
  readonly lines: Buffer[] = [];
  readonly #next: () => number;
  #mark = 0;
  #time = 1_700_000_000;

  constructor(seed: number) {
    this.#next = chance(seed);
  }

  below(limit: number): number {
    return Math.floor(this.#next() * limit);
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }

  happens(share: number): boolean {
    return this.#next() < share;
  }

  commit(ref: string, tree: Tree, parents: readonly number[]): number {
    const mark = ++this.#mark;
    this.#time += this.below(1_000);
    const zone = this.pick(["+0000", "+0130", "-0800"]);
    const who = `A\xfcthor <author@localhost> ${this.#time} ${zone}`;
    this.#say(`commit ${ref}\nmark :${mark}\nauthor ${who}\ncommitter ${who}\n`);
    if (this.happens(0.2)) this.#say("encoding ISO-8859-1\n");
    this.#data(`commit ${mark}\n\nwith more t\xe9xt\n`);
    for (const [i, parent] of parents.entries()) this.#say(`${i === 0 ? "from" : "merge"} :${parent}\n`);
    this.#say("deleteall\n");
    for (const [path, { mode, content }] of tree) {
      const quoted = `"${path.replace(/["\\]/g, "\\$&")}"`;
      if (mode === "160000") this.#say(`M 160000 ${content} ${quoted}\n`);
      else {
        this.#say(`M ${mode} inline ${quoted}\n`);
        this.#data(content);
      }
    }
    return mark;
  }

  #data(text: string): void {
    this.#say(`data ${text.length}\n${text}\n`);
  }

  #say(text: string): void {
    this.lines.push(Buffer.from(text, "latin1"));
  }

  text(name: string): string {
    const end = this.happens(0.15) ? "\r\n" : "\n";
    const lines = Array.from({ length: 6 + this.below(20) }, (_, i) => `${name} line ${i}`);
    if (name.endsWith(".b")) lines.splice(2, 0, "\0\x01\xff");
    return lines.join(end) + (this.happens(0.1) ? "" : end);
  }

  first(): Tree {
    const tree: Tree = new Map();
    for (const name of NAMES)
      if (this.happens(0.8))
        tree.set(name, { mode: this.happens(0.2) ? "100755" : "100644", content: this.text(name) });
    if (this.happens(0.5)) tree.set("link", { mode: "120000", content: "a.txt" });
    if (this.happens(0.4)) tree.set("module", { mode: "160000", content: "1".repeat(40) });
    if (this.happens(0.5)) tree.set(".gitattributes", { mode: "100644", content: this.pick(ATTRIBUTES) });
    if (this.happens(0.2)) tree.set("src/.gitattributes", { mode: "100644", content: "*.c merge=union\n" });
    return tree;
  }

  /** One thing that somebody does. */
  edit(tree: Tree): void {
    const paths = [...tree.keys()];
    const path = this.pick(paths);
    const file = tree.get(path)!;
    const isText = file.mode.startsWith("100") && !path.endsWith(".gitattributes");
    const what = this.below(14);
    if (what < 6 && isText) {
      const lines = file.content.split("\n");
      const at = this.below(lines.length);
      if (this.happens(0.6)) lines[at] = `edited ${this.below(3)}${lines[at]!.endsWith("\r") ? "\r" : ""}`;
      else if (this.happens(0.5)) lines.splice(at, 1);
      else lines.splice(at, 0, `new ${this.below(3)}`);
      tree.set(path, { ...file, content: lines.join("\n") });
    } else if (what === 6)
      this.add(tree, `new-${this.below(3)}.txt`, { mode: "100644", content: this.text("new") });
    else if (what === 7 && paths.length > 4) tree.delete(path);
    else if (what === 8 && isText) {
      tree.delete(path);
      this.add(tree, `${this.pick(["moved", "src/moved", "docs/lib"])}-${this.below(3)}`, file);
    } else if (what === 9 && isText)
      tree.set(path, { ...file, mode: file.mode === "100644" ? "100755" : "100644" });
    else if (what === 10)
      this.add(tree, "link", { mode: "120000", content: this.pick(["b.txt", "c.txt", "nowhere"]) });
    else if (what === 11)
      this.add(tree, "module", { mode: "160000", content: this.pick(["2", "3"]).repeat(40) });
    else if (what === 12)
      this.add(tree, ".gitattributes", { mode: "100644", content: this.pick(ATTRIBUTES) });
    else if (what === 13) {
      for (const old of paths.filter((name) => name.startsWith("docs/"))) {
        this.add(tree, old.replace("docs/", "manual/"), tree.get(old)!);
        tree.delete(old);
      }
    }
  }

  /** A file takes the place of a folder, and the other way round. */
  add(tree: Tree, path: string, file: File): void {
    for (const other of [...tree.keys()])
      if (other.startsWith(`${path}/`) || path.startsWith(`${other}/`)) tree.delete(other);
    tree.set(path, file);
  }

  edited(tree: Tree): Tree {
    const copy = new Map(tree);
    for (let left = 1 + this.below(3); left > 0; left--) this.edit(copy);
    return copy;
  }
}

/** Makes histories of these seeds in a repository, with one process. */
export async function makeHistories(gitDir: string, seeds: readonly number[]): Promise<History[]> {
  for (const seed of seeds) {
    const maker = new Maker(seed);
    const [baseRef, changeRef] = [`refs/histories/${seed}/base`, `refs/histories/${seed}/change`];
    const first = maker.first();
    const root = maker.commit(baseRef, first, []);
    let [ours, theirs] = [first, first];
    let [base, change] = [root, root];
    let crossing: number | undefined;
    for (let left = maker.below(3); left > 0; left--) {
      ours = maker.edited(ours);
      base = maker.commit(baseRef, ours, [base]);
      crossing ??= base;
    }
    for (let left = 1 + maker.below(3); left > 0; left--) {
      const before = theirs;
      theirs = maker.edited(theirs);
      if (crossing !== undefined && maker.happens(0.08)) {
        for (const [path, file] of ours)
          if (before.get(path) === first.get(path)) maker.add(theirs, path, file);
        change = maker.commit(changeRef, theirs, [change, crossing]);
        crossing = undefined;
      } else change = maker.commit(changeRef, theirs, [change]);
    }
    await git(["fast-import", "--quiet", "--force"], { gitDir, input: Buffer.concat(maker.lines) });
  }
  const { stdout } = await git(["for-each-ref", "--format=%(objectname) %(refname)", "refs/histories"], {
    gitDir,
  });
  const ids = new Map(
    stdout
      .toString()
      .trim()
      .split("\n")
      .map((line) => [line.split(" ")[1]!, line.split(" ")[0]!]),
  );
  return seeds.map((seed) => ({
    seed,
    base: ids.get(`refs/histories/${seed}/base`)!,
    change: ids.get(`refs/histories/${seed}/change`)!,
  }));
}
