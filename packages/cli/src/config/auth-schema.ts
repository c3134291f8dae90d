import { isNetwork } from "@drover/server";
import { formatAddress, parseAddress } from "@drover/transport";
import * as z from "zod";
import { suggestion } from "./nearest.ts";
import { choice, flag, integer, size, text, texts } from "./scalars.ts";

/* `auth` of drover.yaml: who may do what. */

const NAME = /^[A-Za-z][\w.-]{0,62}$/;
/** What `anonymous` says when everybody else may do nothing; no identity has this name. */
export const NOBODY = "none";

/** What an identity may be to a gate: it decides, it runs builds, it merges. */
export const GATE_ROLES = ["gate", "executor", "merger"] as const;
export type GateRole = (typeof GATE_ROLES)[number];

const limits = z.strictObject({
  submissionsPerS: integer(0).optional(),
  burst: integer(1).optional(),
  maxJobs: integer(0).optional(),
  maxQueuedBytes: size(0).optional(),
  maxConnections: integer(0).optional(),
});

const globs = () => texts("function or glob", (one) => !/\0/.test(one));

const identity = z.strictObject({
  submit: globs().optional(),
  work: globs().optional(),
  status: flag().optional(),
  admin: flag().optional(),
  peer: flag().optional(),
  role: choice(...GATE_ROLES).optional(),
  certificate: texts("name in a certificate", (one) => /^\S+$/.test(one)).optional(),
  networks: texts("network such as 10.0.0.0/8 or ::1", isNetwork).optional(),
  sockets: texts("path of a Unix socket", (one) => one.startsWith("/")).optional(),
  listeners: texts("address such as 127.0.0.1:4730", isAddress).optional(),
  limits: limits.optional(),
});

export const authSchema = z
  .strictObject({
    tokens: text("file name").optional(),
    identities: z.record(z.string(), identity),
    anonymous: text("name of an identity").optional(),
  })
  .superRefine(({ identities, anonymous }, context) => {
    const names = Object.keys(identities);
    for (const name of names) {
      if (NAME.test(name) && name !== NOBODY) continue;
      const message =
        "is no name of an identity: a letter, then letters, digits, dots and hyphens, and not none";
      context.addIssue({ code: "custom", path: ["identities", name], message });
    }
    if (anonymous === undefined || anonymous === NOBODY || names.includes(anonymous)) return;
    const message = `there is no identity ${JSON.stringify(anonymous)}${suggestion(anonymous, [...names, NOBODY])}`;
    context.addIssue({ code: "custom", path: ["anonymous"], message });
  });

export type AuthConfig = z.output<typeof authSchema>;

function isAddress(address: string): boolean {
  try {
    formatAddress(parseAddress(address));
    return true;
  } catch {
    return false;
  }
}
