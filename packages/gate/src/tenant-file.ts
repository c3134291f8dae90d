import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseDocument, type YAMLSeq } from "yaml";
import { parseTenants, type Tenant } from "./config/index.ts";

/** Name of the tenant file within the folder of a gate. */
export const GATE_FILE = "gate.yaml";

export type GateErrorCode = "GATE_FOLDER_INVALID" | "GATE_CONFIG_INVALID";

/** The gate cannot be opened as its folder is. */
export class GateError extends Error {
  override readonly name = "GateError";
  readonly code: GateErrorCode;

  constructor(code: GateErrorCode, detail: string) {
    super(`${code}: ${detail}`);
    this.code = code;
  }
}

/** @throws GateError */
export function readTenant(folder: string): Tenant {
  const path = join(folder, GATE_FILE);
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === "ENOENT";
    throw new GateError(
      "GATE_FOLDER_INVALID",
      isMissing
        ? `${folder} holds no ${GATE_FILE}; make a gate with: drover gate init ${folder}`
        : `${path}: ${(error as Error).message}`,
    );
  }
  const { tenants, problems } = parseTenants(text);
  const [problem] = problems;
  if (problem !== undefined)
    throw new GateError("GATE_CONFIG_INVALID", `${path}:${problem.line}: ${problem.message}`);
  const [tenant, ...others] = tenants;
  if (tenant === undefined) throw new GateError("GATE_CONFIG_INVALID", `${path} has no tenant`);
  if (others.length > 0) {
    throw new GateError(
      "GATE_CONFIG_INVALID",
      `${path} has ${tenants.length} tenants, and one is served so far`,
    );
  }
  return tenant;
}

/**
 * Writes a project into the tenant file, whose comments stay. The file is YAML 1.1, as everything of Zuul's: names such as
 * `on` are quoted.
 * @throws GateError
 */
export function addToTenant(path: string, tenant: string, project: string): void {
  const document = parseDocument(readFileSync(path, "utf8"), { version: "1.1" });
  const items = document.contents as YAMLSeq | null;
  const at = items?.items.findIndex((_, index) => document.getIn([index, "tenant", "name"]) === tenant) ?? -1;
  if (at < 0) throw new GateError("GATE_CONFIG_INVALID", `${path} has no tenant ${tenant}`);
  const list = [at, "tenant", "source", "local", "untrusted-projects"];
  if (document.hasIn(list)) document.addIn(list, project);
  else document.setIn(list, [project]);
  writeFileSync(`${path}.new`, document.toString());
  renameSync(`${path}.new`, path);
}
