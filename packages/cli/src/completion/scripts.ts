import type { Command, Option } from "commander";

/** One command with its path below the program: `demo herd`. */
interface Place {
  readonly path: string;
  readonly command: Command;
}

/** Script for bash: words by the command path typed so far. */
export function bashScript(program: Command): string {
  const cases = places(program).map(
    ({ path, command }) => `    "${path}") words="${words(command).join(" ")}" ;;`,
  );
  return `# Completion of ${program.name()} for bash.
_${program.name()}() {
  local current="\${COMP_WORDS[COMP_CWORD]}" path="" words="" word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case " ${subcommandNames(program).join(" ")} " in
      *" $word "*) path="\${path:+$path }$word" ;;
    esac
  done
  case "$path" in
${cases.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [ \${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- "$current"))
}
complete -F _${program.name()} ${program.name()}
`;
}

/** Script for zsh: as bash's, with what each word is for. */
export function zshScript(program: Command): string {
  const cases = places(program).map(({ path, command }) => {
    const lines = described(command).map(
      ([word, text]) => `      ${quoted(`${word.replaceAll(":", "\\:")}:${text}`)}`,
    );
    return `    ${quoted(path)}) candidates=(\n${lines.join("\n")}\n    ) ;;`;
  });
  return `#compdef ${program.name()}
# Completion of ${program.name()} for zsh.
_${program.name()}() {
  local place="" word
  local -a known candidates
  known=(${subcommandNames(program).join(" ")})
  for word in "\${(@)words[2,CURRENT-1]}"; do
    (( \${known[(Ie)$word]} )) && place="\${place:+$place }$word"
  done
  case "$place" in
${cases.join("\n")}
  esac
  _describe ${quoted(program.name())} candidates || _files
}
compdef _${program.name()} ${program.name()}
`;
}

/** Script for fish. */
export function fishScript(program: Command): string {
  const name = program.name();
  const lines: string[] = [`# Completion of ${name} for fish.`];
  for (const { path, command } of places(program)) {
    const seen = path.split(" ").filter((word) => word !== "");
    const own = command.commands.map((sub) => sub.name());
    const inside = seen.map((word) => `__fish_seen_subcommand_from ${word}`);
    const before = own.length > 0 ? [`not __fish_seen_subcommand_from ${own.join(" ")}`] : [];
    const condition = quoted([...inside, ...before].join("; and ") || "true");
    for (const sub of command.commands) {
      lines.push(`complete -c ${name} -f -n ${condition} -a ${sub.name()} -d ${quoted(sub.summary())}`);
    }
    for (const option of visible(command)) {
      const long = option.long === undefined ? "" : ` -l ${option.long.slice(2)}`;
      const short = option.short === undefined ? "" : ` -s ${option.short.slice(1)}`;
      lines.push(
        `complete -c ${name} -n ${condition}${long}${short} -d ${quoted(oneLine(option.description))}`,
      );
    }
  }
  return `${lines.join("\n")}\n`;
}

function places(program: Command): Place[] {
  const all: Place[] = [];
  const visit = (command: Command, path: string) => {
    all.push({ path, command });
    for (const sub of command.commands) visit(sub, path === "" ? sub.name() : `${path} ${sub.name()}`);
  };
  visit(program, "");
  return all;
}

function subcommandNames(program: Command): string[] {
  return [...new Set(places(program).flatMap(({ command }) => command.commands.map((sub) => sub.name())))];
}

function visible(command: Command): readonly Option[] {
  return command.options.filter((option) => !option.hidden);
}

function words(command: Command): string[] {
  return described(command).map(([word]) => word);
}

/** What may follow a command, and what it is for. */
function described(command: Command): (readonly [word: string, text: string])[] {
  const subs = command.commands.map((sub) => [sub.name(), sub.summary()] as const);
  const options = visible(command).flatMap((option) =>
    [option.long, option.short]
      .filter((flag) => flag !== undefined)
      .map((flag) => [flag, oneLine(option.description)] as const),
  );
  return [...subs, ...options, ["--help", "show the help"]];
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ");
}

/** A word in single quotes, which the three shells read alike but for the quote itself. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "’")}'`;
}
