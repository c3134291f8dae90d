import { DEFAULT_FUNCTION_SETTINGS, type FunctionSettings } from "./core/index.ts";

/** Settings for the functions whose names match a glob: `*` is any run of characters, `?` any one. */
export interface FunctionRule {
  readonly glob: string;
  readonly settings: Partial<FunctionSettings>;
}

/** Settings by function name: the first matching rule, over the defaults. */
export function settingsByRules(
  rules: readonly FunctionRule[],
  defaults: Partial<FunctionSettings> = {},
): (name: string) => FunctionSettings {
  const base = { ...DEFAULT_FUNCTION_SETTINGS, ...defaults };
  const compiled = rules.map(({ glob, settings }) => ({
    pattern: globPattern(glob),
    settings: { ...base, ...settings },
  }));
  return (name) => compiled.find(({ pattern }) => pattern.test(name))?.settings ?? base;
}

function globPattern(glob: string): RegExp {
  const source = glob
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replaceAll("*", ".*")
    .replaceAll("?", ".");
  return new RegExp(`^${source}$`, "su");
}
