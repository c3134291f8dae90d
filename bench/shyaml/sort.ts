import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

/* A file of 50,000 lines with comments, blank lines, lists and mappings in braces, through `shyaml sortkeys`. */

const SHYAML = resolve(import.meta.dirname, "../../packages/shyaml/bin/shyaml.js");
const LINES = 50_000;
const DOCUMENT = `---
# The shop, in one of its places.

spec:
  template:
    spec:
      containers:
        - name: web
          image: web:1 # pinned
          # Order means something here.
          args: [serve, --port, "80"]
          resources:
            requests: { memory: 1Gi, cpu: 100m }
            limits:
              memory: 2Gi
              cpu: 1000m
        - name: log
          image: log:3
  script: |
    z: this
    a: is text

metadata:
  name: shop
  labels:
    tier: front
    app: shop
kind: Deployment
apiVersion: apps/v1
`;

export interface SortFigures {
  readonly lines: number;
  readonly ms: number;
}

/** @throws when lines are lost or made, or something was not sorted. */
export function measureSort(lines = LINES): SortFigures {
  const source = DOCUMENT.repeat(Math.ceil(lines / (DOCUMENT.split("\n").length - 1)));
  const folder = mkdtempSync(join(tmpdir(), "drover-bench-shyaml-"));
  try {
    writeFileSync(join(folder, "a.yaml"), source);
    const run = (...args: string[]) =>
      spawnSync(process.execPath, [SHYAML, "sortkeys", ...args], {
        cwd: folder,
        encoding: "utf8",
        maxBuffer: 2 ** 28,
      });
    const begin = performance.now();
    const { status, stdout, stderr } = run("a.yaml");
    const ms = performance.now() - begin;
    if (status !== 0) throw new Error(`shyaml sortkeys ended with ${status}: ${stderr}`);
    const lettersOf = (text: string) => [...text].sort().join("");
    if (lettersOf(stdout) !== lettersOf(source))
      throw new Error("shyaml sortkeys changed more than the order");
    writeFileSync(join(folder, "b.yaml"), stdout);
    if (run("--check", "b.yaml").status !== 0) throw new Error("shyaml sortkeys did not sort");
    return { lines: source.split("\n").length - 1, ms };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** In a line, for people. */
export function showSort({ lines, ms }: SortFigures): string {
  return `${lines.toLocaleString("en-US")} lines: shyaml sortkeys ${(ms / 1000).toFixed(2)} s`;
}
