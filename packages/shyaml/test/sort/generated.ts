/** Numbers that a seed repeats (mulberry32). */
export function chance(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/**
 * A file with most of what people write in YAML. Comments name the key they belong to: `# about k7` stands above it,
 * `# of k7` on its line.
 */
export function generatedYaml(seed: number): string {
  const below = chance(seed);
  const one = <T>(...choices: T[]): T => choices[below(choices.length)]!;
  const lines: string[] = [];
  let keys = 0;
  let anchors: string[] = [];

  const scalar = (indent: string): string[] => {
    const inside = `${indent}${one("  ", "    ")}`;
    switch (below(14)) {
      case 0:
        return [
          `${one("|", ">", "|-", ">-")}${one("", " # text")}`,
          `${inside}text: 1`,
          "",
          `${inside}- more`,
        ];
      case 1:
        return ["|+", `${inside}kept`, "", ""];
      case 2:
        return ['"quoted', `${inside}over lines"`];
      case 3:
        return ["plain", `${inside}over lines`];
      case 4:
        return anchors.length === 0 ? [""] : [`*${one(...anchors)}`];
      case 5:
        anchors.push(`a${anchors.length}`);
        return [`&${anchors.at(-1)} anchored`];
      case 6:
        return [one("{}", "[]", "~", "!!str 1", "0x1F", "1e3", "12345678901234567890")];
      case 7:
        return [`{ ${newKey()}: 1, ${newKey()}: [ {${newKey()}: x,${newKey()}: y} ], ${newKey()}: null }`];
      case 8: {
        const [first, second] = [newKey(), newKey()];
        return [
          "{",
          `${inside}${first}: 1, # of ${first}`,
          `${inside}# about ${second}`,
          `${inside}${second}: 2`,
          `${indent}  }`,
        ];
      }
      default:
        return [one("1", "true", "some words", "'it''s'", '"\\u0041"', "2026-01-01")];
    }
  };
  const newKey = () => `${one("a", "m", "z", "B", "10")}k${keys++}`;
  const written = (key: string) => one(key, key, key, `"${key}"`, `'${key}'`);

  const mapping = (indent: string, depth: number, firstIndent = indent): void => {
    for (let i = 0, size = 1 + below(5); i < size; i++) {
      const key = newKey();
      const start = i === 0 ? firstIndent : indent;
      if (i > 0) {
        if (below(4) === 0) lines.push("");
        if (below(4) === 0) lines.push(`${indent}# about ${key}`);
      }
      const trail = below(4) === 0 ? `  # of ${key}` : "";
      const kind = depth > 0 ? below(4) : 3;
      if (kind === 0) {
        lines.push(`${start}${written(key)}:${trail}`);
        mapping(`${indent}${one("  ", "    ", " ")}`, depth - 1);
      } else if (kind === 1) {
        lines.push(`${start}${written(key)}:${trail}`);
        list(`${indent}${one("", "  ")}`, depth - 1);
      } else {
        const [head, ...rest] = scalar(indent);
        lines.push(`${start}${one(key, key, `"${key}"`)}: ${head}${rest.length === 0 ? trail : ""}`, ...rest);
        if (below(8) === 0 && rest.length === 0) lines.push(`${indent}   # below`);
      }
    }
  };
  const list = (indent: string, depth: number): void => {
    for (let i = 0, size = 1 + below(3); i < size; i++) {
      if (below(6) === 0) lines.push(`${indent}# item`);
      if (below(3) === 0) lines.push(`${indent}- ${one("x", "[1, 2]", "{ y: 1, x: 2 }")}`);
      else if (below(5) === 0) {
        lines.push(`${indent}- # on the dash`);
        mapping(`${indent}  `, depth);
      } else mapping(`${indent}  `, depth, `${indent}- `);
    }
  };

  const documents = 1 + below(3);
  for (let i = 0; i < documents; i++) {
    if (i > 0 || below(3) === 0) lines.push(one("---", "--- # next"));
    if (below(3) === 0) lines.push("# The top", "");
    anchors = [];
    if (below(8) === 0) list("", 3);
    else mapping("", 3);
    if (below(4) === 0) lines.push("", "# The end");
  }
  const text = lines.join(one("\n", "\n", "\r\n"));
  // What keeps blank lines would lose one to another that became the last without a line break.
  return below(4) === 0 && !text.includes("|+") ? text : `${text}${text.includes("\r") ? "\r\n" : "\n"}`;
}
