import { readFileSync } from "node:fs";

const manifest: { version: string } = JSON.parse(
  readFileSync(new URL("../package.json", import.meta.url), "utf8"),
);

export const VERSION = manifest.version;

/** What clients and administrators are told: gearmand's version that Drover equals, then its own. */
export const SERVER_VERSION = `2.0.0-drover-${VERSION}`;
