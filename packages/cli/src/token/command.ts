import { Command } from "commander";
import type { TokenFlags } from "./run.ts";

const EXAMPLES = `
The file is the one that auth.tokens of drover.yaml names, or --file. It holds no secrets but their digests, and a
running server notices within a second what is changed in it.

Examples:
  drover token create shop --expires 90d > shop.token      the only time that it is shown
  drover token list
  drover token revoke 3f9a01c2d4e5                         its connections are closed
  DROVER_TOKEN=$(cat shop.token) drover submit -f resize img:42

Exit codes: 0 done, 2 wrong options, or a file that cannot be used.`;

/** `drover token create`, `list` and `revoke`. */
export function tokenCommand(): Command {
  const token = new Command("token")
    .summary("make, list and revoke tokens of a server's identities")
    .description("Makes, lists and revokes the tokens by which clients and workers show who they are.")
    .addHelpText("after", EXAMPLES);
  sub(token, "create", "Makes a token, and prints it: nobody can be told it again.")
    .argument("<identity>", "name of the identity in drover.yaml")
    .option("--expires <duration>", "until when it is valid, such as 90d (default: for ever)")
    .option("--note <text>", "what it is for; shown by list")
    .action(async (name: string, flags: TokenFlags) => {
      const { create } = await import("./run.ts");
      create(name, flags);
    });
  sub(token, "list", "Lists tokens, without their secrets.")
    .option("--json", "as JSON")
    .action(async (flags: TokenFlags) => {
      const { list } = await import("./run.ts");
      list(flags);
    });
  sub(token, "revoke", "Ends a token for good.")
    .argument("<id>", "as list shows it")
    .action(async (id: string, flags: TokenFlags) => {
      const { revoke } = await import("./run.ts");
      revoke(id, flags);
    });
  return token;
}

function sub(parent: Command, name: string, description: string): Command {
  const command = new Command(name)
    .description(description)
    .option("--file <file>", "file of tokens (default: auth.tokens of drover.yaml)")
    .option("--config <file>", "drover.yaml (default: DROVER_CONFIG, else ./drover.yaml where there is one)");
  parent.addCommand(command);
  return command;
}
