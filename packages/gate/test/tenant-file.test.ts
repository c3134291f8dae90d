import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { starterTenantFile } from "../src/index.ts";
import { addToTenant, GATE_FILE, readTenant } from "../src/tenant-file.ts";

describe("names that YAML may take for something else", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "drover-tenant-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const write = (text: string): void => writeFileSync(join(folder, GATE_FILE), text);
  const names = (): string[] => [...readTenant(folder).projects.keys()];

  test.each([
    "on",
    "off",
    "yes",
    "No",
    "y",
    "true",
    "null",
    "1_000",
    "0x10",
    "1e3",
    "010",
    "2024-01-01",
    "_",
  ])("%s is a project, from the beginning or added", (name) => {
    write(starterTenantFile(name, "config", ["app"]));
    addToTenant(join(folder, GATE_FILE), name, name);
    expect(names()).toEqual(["config", "app", name]);
    write(starterTenantFile("main", name, []));
    expect(names()).toEqual([name]);
  });

  test("of one that was written by hand it is told what to do", () => {
    write(starterTenantFile("main", "config", ["app"]).replace("- app", "- on"));
    expect(names).toThrow("GATE_CONFIG_INVALID");
    expect(names).toThrow("YAML takes this for true; a project's name has to be quoted then");
  });
});
