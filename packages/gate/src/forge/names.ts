import { PushRefused } from "./errors.ts";

const PROJECT = /^[A-Za-z0-9][A-Za-z0-9._-]*(?:\/[A-Za-z0-9][A-Za-z0-9._-]*)*$/;
const MAX_PROJECT_LENGTH = 200;

/** Why a project cannot be called so, or `null`. The name is a path below the forge's folder, and part of URLs. */
export function projectNameProblem(name: string): string | null {
  if (name.length > MAX_PROJECT_LENGTH)
    return `a project's name has at most ${MAX_PROJECT_LENGTH} characters`;
  if (!PROJECT.test(name) || /\.(?:git|lock)?(?:\/|$)|\.\./.test(name)) {
    return "a project's name has letters, digits, '.', '_' and '-', in parts that '/' separates; no part begins with a sign or ends in '.', '.git' or '.lock'";
  }
  return null;
}

/** What `refs/for/BRANCH%OPTION,…` and push options ask for. */
export interface Wish {
  readonly branch: string;
  readonly topic: string | null;
  /** The change to revise. */
  readonly change: number | null;
}

const FOR = "refs/for/";
const TOPIC = /^[^\s%,]{1,100}$/;

export function isForReview(ref: string): boolean {
  return ref === "refs/for" || ref.startsWith(FOR);
}

/**
 * @param options Of the push (`-o topic=NAME`), without its token.
 * @throws PushRefused
 */
export function readWish(ref: string, options: readonly string[]): Wish {
  const [target = "", ...more] = ref.slice(FOR.length).split("%");
  const branch = target.replace(/^refs\/heads\//, "");
  if (branch === "") throw new PushRefused("name the branch: refs/for/BRANCH");
  let topic: string | null = null;
  let change: number | null = null;
  for (const option of [...more.flatMap((part) => part.split(",")), ...options]) {
    const [key, ...rest] = option.split("=");
    const value = rest.join("=");
    if (key === "topic") {
      if (!TOPIC.test(value)) {
        throw new PushRefused(
          `topic=${shown(value)}: a topic has 1 to 100 characters, none of them white, % or ,`,
        );
      }
      topic = value;
    } else if (key === "change") {
      if (!/^[1-9]\d{0,14}$/.test(value))
        throw new PushRefused(`change=${shown(value)}: no number of a change`);
      change = Number(value);
    } else {
      throw new PushRefused(`there is no option ${shown(option)}: topic=NAME and change=NUMBER are known`);
    }
  }
  return { branch, topic, change };
}

/** Why a ref that is pushed to cannot be, whichever it is; or `null`. */
export function pushedNameProblem(ref: string, maxBytes: number): string | null {
  const bytes = Buffer.byteLength(ref);
  if (bytes > maxBytes) return `the name has ${bytes} bytes, limit maxRefBytes ${maxBytes}`;
  return ref.includes("\ufffd") ? "the name is not UTF-8" : null;
}

/** Why a branch or tag cannot be called so, besides what git itself refuses; or `null`. */
export function refNameProblem(ref: string): string | null {
  const name = /^refs\/(?:heads|tags)\/(.+)$/s.exec(ref)?.[1];
  if (name === undefined) return "push to refs/for/BRANCH; operators also to refs/heads/ and refs/tags/";
  if (name.startsWith("-") || name === "HEAD" || name.includes("%")) {
    return "a name may not be HEAD, begin with '-', or have a '%'";
  }
  return null;
}

/** Text of a stranger, fit for a terminal and a sentence. */
export function shown(text: string, maxLength = 100): string {
  const clean = text.replace(/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu, "?");
  return clean.length > maxLength ? `${clean.slice(0, maxLength)}…` : clean;
}
