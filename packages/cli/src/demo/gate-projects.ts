/* What `drover demo gate` works on: three small repositories of shell scripts, and twelve changes to them. */

interface TextFile {
  readonly path: string;
  readonly text: string;
}

/** What each repository begins with. */
export const PROJECTS: Readonly<Record<string, readonly TextFile[]>> = {
  lib: [
    {
      path: "lib.sh",
      text: `greet() { printf 'Hello, %s.\\n' "$1"; }
whisper() { printf '(%s)\\n' "$1"; }
`,
    },
    { path: "test.sh", text: `. ./lib.sh\ntest "$(greet you)" != ""\n` },
    {
      path: "zuul.yaml",
      text: `- job:
    name: lib-test
    command: [sh, -eu, test.sh]

- project:
    queue: together
    check:
      jobs:
        - lib-test
    gate:
      jobs:
        - lib-test
        - app-test
`,
    },
  ],
  app: [
    { path: "parts/hello.sh", text: `test "$(greet world)" = "Hello, world."\n` },
    {
      path: "test.sh",
      text: `. ../lib/lib.sh
for part in parts/*.sh; do
  echo "runs $part"
  . "./$part"
done
`,
    },
    {
      path: "prepare.sh",
      text: `# As if the network failed, once, for change 7.
[ "$DROVER_CHANGE" != 7 ] || [ "$DROVER_ATTEMPT" -gt 1 ]
`,
    },
    {
      path: "zuul.yaml",
      text: `- job:
    name: app-test
    required-projects:
      - lib
      - app
    pre-run:
      - command: [sh, ../app/prepare.sh]
    command: [sh, -euc, "cd ../app && exec sh -eu test.sh"]
    # Its preparation asks for which change it is, and how often it was tried.
    reuse: false

- project:
    queue: together
    check:
      jobs:
        - app-test
    gate:
      jobs:
        - app-test
`,
    },
  ],
  docs: [
    { path: "README.md", text: "# Manual\n\nCommands: greet\n" },
    {
      path: "test.sh",
      text: `for command in $(sed -n 's/^Commands: //p' README.md); do
  grep -q "^$command()" ../lib/lib.sh || { echo "there is no command $command"; exit 1; }
done
`,
    },
    {
      path: "zuul.yaml",
      text: `- job:
    name: docs-test
    required-projects:
      - lib
    command: [sh, -eu, test.sh]

- project:
    queue: together
    check:
      jobs:
        - docs-test
    gate:
      jobs:
        - docs-test
`,
    },
  ],
};

/** A change to one of them. */
export interface DemoChange {
  readonly project: keyof typeof PROJECTS;
  readonly title: string;
  readonly files: readonly TextFile[];
  /** Number of the change that it needs. */
  readonly dependsOn?: number;
  /** Whether it is to be merged; else why it must not be. */
  readonly ends: "merged" | "breaks" | "conflicts";
  /** What it shows. */
  readonly note?: string;
}

/** In the order in which they are approved; the first has the number 1. */
export const CHANGES: readonly DemoChange[] = [
  {
    project: "lib",
    title: "Add shout",
    files: [
      {
        path: "lib.sh",
        text: `greet() { printf 'Hello, %s.\\n' "$1"; }
whisper() { printf '(%s)\\n' "$1"; }
shout() { printf '%s!\\n' "$1" | tr a-z A-Z; }
`,
      },
    ],
    ends: "merged",
  },
  {
    project: "app",
    title: "Shout at people",
    files: [{ path: "parts/shout.sh", text: `test "$(shout hey)" = "HEY!"\n` }],
    dependsOn: 1,
    ends: "merged",
    note: "needs 1, which is in another repository",
  },
  {
    project: "docs",
    title: "Tell of shout",
    files: [{ path: "README.md", text: "# Manual\n\nCommands: greet\nCommands: shout\n" }],
    dependsOn: 2,
    ends: "merged",
    note: "needs 2, which needs 1",
  },
  {
    project: "lib",
    title: "Remove whisper, which nobody uses",
    files: [
      {
        path: "lib.sh",
        text: `greet() { printf 'Hello, %s.\\n' "$1"; }
shout() { printf '%s!\\n' "$1" | tr a-z A-Z; }
`,
      },
    ],
    dependsOn: 1,
    ends: "merged",
  },
  {
    project: "app",
    title: "Whisper to people",
    files: [{ path: "parts/whisper.sh", text: `test "$(whisper hey)" = "(hey)"\n` }],
    ends: "breaks",
    note: "uses what 4 removes: each is right alone",
  },
  {
    project: "lib",
    title: "Greet without the stop",
    files: [
      {
        path: "lib.sh",
        text: `greet() { printf 'Hello, %s\\n' "$1"; }
shout() { printf '%s!\\n' "$1" | tr a-z A-Z; }
`,
      },
    ],
    dependsOn: 4,
    ends: "breaks",
    note: "right for its own tests, wrong for app's",
  },
  {
    project: "app",
    title: "Say goodbye",
    files: [{ path: "parts/bye.sh", text: `test "$(greet 'and goodbye')" = "Hello, and goodbye."\n` }],
    ends: "merged",
    note: "its test cannot be prepared the first time: it is tried again",
  },
  {
    project: "docs",
    title: "A better title",
    files: [{ path: "README.md", text: "# The manual\n\nCommands: greet\n" }],
    ends: "merged",
  },
  {
    project: "docs",
    title: "Another title",
    files: [{ path: "README.md", text: "# Handbook\n\nCommands: greet\n" }],
    ends: "conflicts",
    note: "changes the line that 8 changes",
  },
  {
    project: "lib",
    title: "A test of shout",
    files: [{ path: "test-shout.sh", text: `. ./lib.sh\nshout x\n` }],
    ends: "merged",
  },
  {
    project: "app",
    title: "Greet everybody",
    files: [{ path: "parts/all.sh", text: `for one in you me; do greet "$one"; done > /dev/null\n` }],
    ends: "merged",
  },
  {
    project: "docs",
    title: "How to begin",
    files: [{ path: "BEGIN.md", text: "# Begin\n\nRead the manual.\n" }],
    ends: "merged",
  },
];
