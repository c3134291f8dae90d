import { globSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

/* The commands that the documentation shows: those of its shell blocks, and those that it names in a sentence. */

export const ROOT = resolve(import.meta.dirname, "../../..");
/** Run as it stands, by a test that reads it. */
export const RUN_WHOLE: Readonly<Record<string, string>> = {
  "docs/TUTORIAL-GATE.md": "test/gate/tutorial.test.ts",
  "examples/ansible/README.md": "test/gate/tutorial.test.ts",
};

export interface Shown {
  readonly page: string;
  /** As it is written, up to where the shell takes over. */
  readonly text: string;
  readonly words: readonly string[];
  /** Of a shell block, and so complete. */
  readonly isWhole: boolean;
}

export const pages: readonly string[] = globSync(
  ["README.md", "CONTRIBUTING.md", "docs/**/*.md", "packages/*/README.md", "examples/**/README.md"],
  { cwd: ROOT, exclude: (path) => path.includes("node_modules") },
).toSorted();

const PROGRAMS = /^(?:npx drover|drover|npm|node|curl|git)(?= |$)/;

/** All commands of a page. */
export function shownIn(page: string): Shown[] {
  const text = readFileSync(join(ROOT, page), "utf8");
  const shown: Shown[] = [];
  const add = (written: string, isWhole: boolean): void => {
    const words = wordsOf(written.replace(/^npx (?=drover)/, ""));
    shown.push({ page, text: written, words, isWhole });
  };
  const prose = text.replace(
    /^[ \t]*```(\w*)\n([\s\S]*?)^[ \t]*```$/gm,
    (_, language: string, block: string) => {
      if (language !== "" && language !== "sh") return "";
      for (const line of block.replace(/\\\n\s*/g, " ").split("\n"))
        for (const command of commandsOf(line, language === "sh")) add(command, true);
      return "";
    },
  );
  for (const [, span] of prose.matchAll(/`([^`\n]+)`/g))
    if (/^(?:npx )?drover /.test(span!)) for (const command of commandsOf(span!, true)) add(command, false);
  return shown;
}

/** The commands of a line of shell. A block without a language is output, of which only what begins a line is one. */
function commandsOf(line: string, isShell: boolean): string[] {
  const plain = line
    .trim()
    .replace(/\$\([^()]*drover ([^()|]*)[^()]*\)/g, "; drover $1;")
    .replace(/\$\([^()]*\)/g, "VALUE")
    .replace(/(?:^|\s)#.*$/, "");
  if (!isShell) return /^node examples\//.test(plain) ? [plain] : [];
  return plain
    .split(/&&|\|\|?|;|(?<!\d)&(?!\d)|\d?>>?/)
    .map((part) => part.trim().replace(/^(?:until|while|do|then|if|!|idle\(\) \{)\s+/g, ""))
    .map((part) => part.replace(/^(?:until|while|do|then|if|!)\s+/g, "").trim())
    .filter((part) => PROGRAMS.test(part));
}

function wordsOf(command: string): string[] {
  const words = command.match(/(?:[^\s"']+|"[^"]*"|'[^']*')+/g) ?? [];
  return words.map((word) => word.replace(/"([^"]*)"|'([^']*)'/g, "$1$2")).filter((word) => word !== "…");
}
