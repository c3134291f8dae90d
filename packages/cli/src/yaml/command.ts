import { separated, shyamlCommands } from "@drover/shyaml";
import { Command } from "commander";

/** `drover yaml …`: the commands of `shyaml`. */
export function yamlCommand(): Command {
  const command = new Command("yaml")
    .summary("compare YAML, JSON and Kubernetes manifests")
    .description("The commands of shyaml, which compare YAML, JSON and Kubernetes manifests.");
  for (const sub of shyamlCommands()) command.addCommand(sub);
  return command;
}

/** Words as shyaml takes them, where it is meant. */
export function yamlArguments(args: readonly string[]): readonly string[] {
  return args[0] === "yaml" ? separated(args) : args;
}
