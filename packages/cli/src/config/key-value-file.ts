import type { ConfigProblem } from "./problem.ts";

/** One option of gearmand's configuration file, by its long name. */
export interface KeyValue {
  readonly name: string;
  readonly value: string;
  readonly where: string;
}

export interface KeyValueFile {
  readonly options: readonly KeyValue[];
  readonly problems: readonly ConfigProblem[];
}

/**
 * Reads gearmand's configuration file: `name=value` a line, `#` begins a comment, `[section]` puts `section.`
 * before the names that follow.
 */
export function readKeyValueFile(text: string, fileName: string): KeyValueFile {
  const options: KeyValue[] = [];
  const problems: ConfigProblem[] = [];
  let section = "";
  text.split(/\r?\n/).forEach((raw, index) => {
    const where = `${fileName}:${index + 1}`;
    const line = raw.replace(/#.*/, "").trim();
    if (line === "") return;
    const heading = /^\[(.*)\]$/.exec(line);
    if (heading !== null) {
      section = heading[1] === "" ? "" : `${heading[1]}.`;
      return;
    }
    const equals = line.indexOf("=");
    const name = (equals < 0 ? line : line.slice(0, equals)).trim();
    if (equals < 0)
      problems.push({ where, message: `${JSON.stringify(name)} has no value: write ${name}=VALUE` });
    else options.push({ name: section + name, value: line.slice(equals + 1).trim(), where });
  });
  return { options, problems };
}
