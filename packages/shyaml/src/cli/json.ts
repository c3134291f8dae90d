import { Command } from "commander";
import { loadDocuments } from "../document/load.ts";
import { jsonText } from "../render/json-text.ts";
import { readInput } from "./input.ts";

interface JsonFlags {
  readonly compact: boolean;
  readonly array: boolean;
  readonly yaml11: boolean;
}

/** `shyaml json [FILE…]` */
export function jsonCommand(): Command {
  return new Command("json")
    .description("Print YAML as JSON, each document after the other, numbers with all of their digits.")
    .argument("[file...]", "files; - or none is the standard input")
    .option("-c, --compact", "one line for each document", false)
    .option("-a, --array", "one array of all documents", false)
    .option("--yaml11", "read as YAML 1.1, as Kubernetes does: yes and on are true", false)
    .action((files: string[], flags: JsonFlags) => {
      const indent = flags.compact ? 0 : 2;
      const texts: string[] = [];
      for (const argument of files.length === 0 ? ["-"] : files) {
        for (const { name, text } of readInput(argument).files) {
          const { source, documents } = loadDocuments(text, { name, yaml11: flags.yaml11 });
          for (const { root } of documents) texts.push(jsonText(root, { indent, source }));
        }
      }
      if (!flags.array) for (const text of texts) process.stdout.write(`${text}\n`);
      else if (flags.compact || texts.length === 0) process.stdout.write(`[${texts.join()}]\n`);
      else {
        const lines = texts.map((text) => `  ${text.replaceAll("\n", "\n  ")}`);
        process.stdout.write(`[\n${lines.join(",\n")}\n]\n`);
      }
    });
}
