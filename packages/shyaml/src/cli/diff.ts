import { Command } from "commander";
import { type ComparedFile, compareFiles, type DiffReport } from "../diff/compare.ts";
import { loadDocuments } from "../document/load.ts";
import { ignoreNotes, ignoring, readIgnoreRules } from "../kube/ignore.ts";
import { Schemas } from "../kube/schema.ts";
import { plainValue } from "../render/build.ts";
import { type Input, readInput } from "./input.ts";
import { EXIT, patchText, reportText } from "./output.ts";
import { addDiffFlags, readSettings, type Settings } from "./settings.ts";

/** `shyaml diff BEFORE AFTER` */
export function diffCommand(): Command {
  return addDiffFlags(
    new Command("diff")
      .description("Compare YAML or JSON: files, directories, or - for the standard input.")
      .argument("<before>", "the old file or directory")
      .argument("<after>", "the new one"),
  ).action((before: string, after: string, flags: object) => {
    const settings = readSettings(flags);
    const one = readInput(before, settings.limits);
    const other = before === "-" && after === "-" ? one : readInput(after, settings.limits);
    const { report, text } = compareInputs(one, other, settings);
    process.stdout.write(text);
    process.exitCode = report.documents.length === 0 || settings.exitZero ? EXIT.same : EXIT.differs;
  });
}

/** Compares what was read, and writes it as the settings say. */
export function compareInputs(
  before: Input,
  after: Input,
  settings: Settings,
): { report: DiffReport; text: string } {
  const isBothDirectories = before.isDirectory && after.isDirectory;
  const load = (input: Input): ComparedFile[] =>
    input.files.map(({ name, path, text }) => {
      const { comments, yaml11, limits } = settings;
      const file = loadDocuments(text, { name, comments, yaml11, limits });
      return { file, path: isBothDirectories ? path : "" };
    });
  const one = load(before);
  // Files that are equal to the byte are read once, to see that they are YAML.
  const other = isSame(before, after) ? one : load(after);
  const schemas = readSchemas(settings);
  const found = compareFiles(one, other, { ...settings, schemas });
  const rules = settings.ignore === undefined ? [] : readIgnoreRules(settings.ignore);
  const { report: rest, counts } = ignoring(found, rules);
  // Rules that ignore nothing here may be there for other files.
  const report = { ...rest, notes: [...rest.notes, ...ignoreNotes(rules, counts).used] };
  const isPatch = settings.output === "json-patch";
  return {
    report,
    text: isPatch ? patchText(one, other, report, settings, schemas) : reportText(report, settings),
  };
}

function isSame(before: Input, after: Input): boolean {
  if (before.files.length !== after.files.length) return false;
  return before.files.every(({ path, text }, i) => {
    const other = after.files[i]!;
    return other.path === path && other.text === text;
  });
}

/** What the files of `--schema` tell of kinds, over Kubernetes' own. */
export function readSchemas({ schemas, limits }: Settings): Schemas {
  const known = new Schemas();
  for (const argument of schemas) {
    for (const { name, text } of readInput(argument, limits).files) {
      for (const { root } of loadDocuments(text, { name, limits }).documents) known.add(plainValue(root));
    }
  }
  return known;
}
