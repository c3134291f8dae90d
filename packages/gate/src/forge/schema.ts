import type { Migration } from "../store/database.ts";

/** Tables of the forge: what its repositories do not hold. Times are milliseconds since 1970. */
export const FORGE_MIGRATIONS: readonly Migration[] = [
  {
    name: "forge 1",
    sql: `
CREATE TABLE forge_projects (
  name TEXT PRIMARY KEY,
  -- 'making' until its repository is whole
  state TEXT NOT NULL,
  created_ms INTEGER NOT NULL
) WITHOUT ROWID, STRICT;

CREATE TABLE forge_counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID, STRICT;

CREATE TABLE forge_changes (
  number INTEGER PRIMARY KEY,
  project TEXT NOT NULL,
  branch TEXT NOT NULL,
  change_id TEXT,
  topic TEXT,
  owner TEXT NOT NULL,
  state TEXT NOT NULL,
  revision INTEGER NOT NULL,
  -- what its branch became when it landed
  merged_commit TEXT,
  created_ms INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX forge_changes_of_branch ON forge_changes (project, branch, state);
CREATE INDEX forge_changes_by_change_id ON forge_changes (change_id, project, branch);
CREATE INDEX forge_changes_by_state ON forge_changes (state, number);

CREATE TABLE forge_revisions (
  change INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  head TEXT NOT NULL,
  -- what its files are compared with
  base TEXT NOT NULL,
  title TEXT NOT NULL,
  message TEXT NOT NULL,
  author TEXT NOT NULL,
  author_email TEXT NOT NULL,
  author_ms INTEGER NOT NULL,
  pusher TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  PRIMARY KEY (change, revision)
) WITHOUT ROWID, STRICT;

-- first-parent commits that revisions consist of
CREATE TABLE forge_commits (
  project TEXT NOT NULL,
  branch TEXT NOT NULL,
  id TEXT NOT NULL,
  change INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  PRIMARY KEY (project, branch, id, change, revision)
) WITHOUT ROWID, STRICT;

-- what the current revision of a change needs, as it says it
CREATE TABLE forge_needs (
  change INTEGER NOT NULL,
  position INTEGER NOT NULL,
  source TEXT NOT NULL,
  target INTEGER,
  revision INTEGER,
  -- of the target, where the source names it
  project TEXT,
  -- why the source cannot be read
  problem TEXT,
  PRIMARY KEY (change, position)
) WITHOUT ROWID, STRICT;
CREATE INDEX forge_needs_by_target ON forge_needs (target);

CREATE TABLE forge_approvals (
  change INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  user TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  PRIMARY KEY (change, revision, user)
) WITHOUT ROWID, STRICT;

CREATE TABLE forge_comments (
  id INTEGER PRIMARY KEY,
  change INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  author TEXT NOT NULL,
  vote INTEGER,
  text TEXT NOT NULL,
  file TEXT,
  line INTEGER,
  at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX forge_comments_of_change ON forge_comments (change, id);

-- moves of branches and tags: decided, then done in the repository, then told
CREATE TABLE forge_moves (
  key TEXT PRIMARY KEY,
  project TEXT NOT NULL,
  ref TEXT NOT NULL,
  old TEXT,
  new TEXT,
  change INTEGER,
  revision INTEGER,
  -- 'decided', 'done' or 'refused'
  state TEXT NOT NULL,
  refused TEXT,
  at_ms INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
CREATE INDEX forge_moves_by_state ON forge_moves (state, at_ms);

CREATE TABLE forge_users (
  name TEXT PRIMARY KEY,
  role TEXT NOT NULL,
  created_ms INTEGER NOT NULL
) WITHOUT ROWID, STRICT;

CREATE TABLE forge_tokens (
  id TEXT PRIMARY KEY,
  user TEXT NOT NULL,
  -- of the secret
  sha256 TEXT NOT NULL,
  note TEXT,
  created_ms INTEGER NOT NULL,
  expires_ms INTEGER,
  revoked_ms INTEGER
) WITHOUT ROWID, STRICT;
CREATE INDEX forge_tokens_of_user ON forge_tokens (user);
`,
  },
  {
    name: "forge 2",
    sql: `
-- cycles: changes of several repositories that land together or not at all
CREATE TABLE forge_cycles (
  key TEXT PRIMARY KEY,
  -- JSON, in their order: project, branch, base, commit, change, revision
  changes TEXT NOT NULL,
  -- 'preparing', 'decided', 'done' or 'refused'
  state TEXT NOT NULL,
  refused TEXT,
  at_ms INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
CREATE INDEX forge_cycles_by_state ON forge_cycles (state, at_ms);
`,
  },
  {
    name: "forge 3",
    sql: `
-- the revision that was approved, where another has kept that
ALTER TABLE forge_approvals ADD COLUMN kept_from INTEGER;
`,
  },
];
