import { type CompareOptions, compareFiles, type DiffReport, loadDocuments, pathText } from "../src/index.ts";

/** Compares two texts. */
export function compare(before: string, after: string, options: CompareOptions = {}): DiffReport {
  const file = (text: string, name: string) => {
    const comments = options.comments === true;
    return { file: loadDocuments(text, { name, comments }), path: "" };
  };
  return compareFiles([file(before, "a.yaml")], [file(after, "b.yaml")], options);
}

/** The changes of two texts in short: kind and path. */
export function changesOf(before: string, after: string, options: CompareOptions = {}): string[] {
  return compare(before, after, options).documents.flatMap(({ status, changes, name }) =>
    changes.length === 0
      ? [`${status} ${name}`]
      : changes.map(({ kind, path }) => `${kind} ${pathText(path)}`),
  );
}
