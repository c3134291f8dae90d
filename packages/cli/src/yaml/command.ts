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

/** Words as shyaml takes them, where it is meant, by kubectl too, which puts its two directories first. */
export function yamlArguments(args: readonly string[]): readonly string[] {
  if (args[0] === "yaml") return separated(args);
  const isOfKubectl = args[2] === "yaml" && args[3] === "diff" && args[0]?.startsWith("/");
  return isOfKubectl ? ["yaml", ...separated([...args.slice(0, 2), ...args.slice(3)])] : args;
}
