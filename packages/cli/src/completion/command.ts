import { Argument, Command } from "commander";
import { bashScript, fishScript, zshScript } from "./scripts.ts";

/** `drover completion`: what a shell needs to complete drover's command lines. */
export function completionCommand(program: () => Command): Command {
  return new Command("completion")
    .summary("print the completion script of a shell")
    .description("Prints a script that completes drover's commands and options.")
    .addArgument(new Argument("<shell>", "the shell").choices(["bash", "zsh", "fish"]))
    .addHelpText(
      "after",
      `
Examples:
  source <(drover completion bash)
  drover completion zsh > "\${fpath[1]}/_drover"
  drover completion fish > ~/.config/fish/completions/drover.fish`,
    )
    .action((shell: "bash" | "zsh" | "fish") => {
      const script = { bash: bashScript, zsh: zshScript, fish: fishScript }[shell];
      process.stdout.write(script(program()));
    });
}
