import type { MailFacts } from "./model.ts";

/* Subjects of mails, with placeholders as Zuul's smtp reporter has them: Python's `format` with names in braces. */

const PLACEHOLDERS: Readonly<Record<string, (facts: MailFacts) => string>> = {
  change: ({ change, ref }) => change?.name ?? ref,
  "change.number": ({ change }) => change?.number ?? "",
  "change.patchset": ({ change }) => change?.revision ?? "",
  "change.project": ({ project }) => project,
  "change.branch": ({ branch }) => branch,
  "change.subject": ({ change }) => change?.title ?? "",
  "change.owner": ({ change }) => change?.owner ?? "",
  "change.topic": ({ change }) => change?.topic ?? "",
  "change.url": ({ change }) => change?.url ?? "",
  "change.ref": ({ ref }) => ref,
  changes: ({ change, ref }) => change?.name ?? ref,
  ref: ({ ref }) => ref,
  project: ({ project }) => project,
  branch: ({ branch }) => branch,
  pipeline: ({ pipeline }) => pipeline,
  "pipeline.name": ({ pipeline }) => pipeline,
  result: ({ result }) => result,
};

/** Of mails whose reporter gives no subject; Zuul's. */
export const DEFAULT_SUBJECT = "Report for change {change} against {ref}";

const PART = /\{\{|\}\}|\{([^{}]*)\}|[{}]/g;

/** What is wrong with a subject; `undefined`: nothing. */
export function subjectProblem(subject: string): string | undefined {
  for (const [part, name] of subject.matchAll(PART)) {
    if (part === "{{" || part === "}}") continue;
    if (name === undefined) return `the brace ${part} stands alone; write it twice to have one`;
    if (!Object.hasOwn(PLACEHOLDERS, name))
      return `there is no placeholder {${name}}; there are: ${Object.keys(PLACEHOLDERS).join(", ")}`;
  }
  return undefined;
}

/** A subject filled in, in one line. */
export function subjectText(subject: string, facts: MailFacts): string {
  const text = subject.replace(PART, (part, name: string | undefined) => {
    if (part === "{{") return "{";
    if (part === "}}") return "}";
    return name === undefined ? part : (PLACEHOLDERS[name]?.(facts) ?? part);
  });
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they would end the line of a mail's head.
  return text.replace(/[\u0000-\u001f\u007f]+/g, " ").slice(0, 500);
}
