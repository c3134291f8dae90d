import { Command } from "commander";
import { type ComparedFile, compareFiles, type DiffReport } from "../diff/compare.ts";
import { loadDocuments } from "../document/load.ts";
import { Schemas } from "../kube/schema.ts";
import { plainValue } from "../render/build.ts";
import { type Input, readInput } from "./input.ts";
import { EXIT, writeReport } from "./output.ts";
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
    const inputs = [before, after].map((argument) => readInput(argument, settings.limits)) as [Input, Input];
    const report = compareInputs(...inputs, settings);
    writeReport(report, settings);
    process.exitCode = report.documents.length === 0 || settings.exitZero ? EXIT.same : EXIT.differs;
  });
}

/** Compares what was read. Files that are equal to the byte are looked at once, to see that they are YAML. */
export function compareInputs(before: Input, after: Input, settings: Settings): DiffReport {
  const isBothDirectories = before.isDirectory && after.isDirectory;
  const equal = new Map(after.files.map(({ path, text }) => [isBothDirectories ? path : "", text]));
  const load = (input: Input): ComparedFile[] =>
    input.files.map(({ name, path, text }) => {
      const { comments, yaml11, limits } = settings;
      const file = loadDocuments(text, { name, comments, yaml11, limits });
      return { file, path: isBothDirectories ? path : "" };
    });
  const isSame =
    before.files.length === after.files.length &&
    before.files.every(({ path, text }) => equal.get(isBothDirectories ? path : "") === text);
  const loaded = load(before);
  return compareFiles(loaded, isSame ? loaded : load(after), { ...settings, schemas: readSchemas(settings) });
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
