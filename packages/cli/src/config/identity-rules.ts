import type { IdentityRule, IdentityRules } from "@drover/server";
import { formatAddress, parseAddress } from "@drover/transport";
import { type AuthConfig, type GateRole, NOBODY } from "./auth-schema.ts";

/** The server's rules from the `auth` of a drover.yaml. */
export function identityRules({ tokens, identities, anonymous = NOBODY }: AuthConfig): IdentityRules {
  const rules = Object.entries(identities).map(([name, identity]): IdentityRule => {
    const { submit = [], work = [], status = false, admin = false, peer = false } = identity;
    const { certificate = [], networks = [], sockets = [], listeners = [] } = identity;
    const limits = Object.entries(identity.limits ?? {}).filter(([, limit]) => limit !== undefined);
    return {
      name,
      rights: {
        submit: [...submit.map(onTheWire), ...submitted(identity.role)],
        work: [...work.map(onTheWire), ...worked(identity.role)],
        status,
        admin,
        peer,
      },
      limits: Object.fromEntries(limits),
      certificates: certificate,
      networks,
      sockets,
      listeners: listeners.map((address) => formatAddress(parseAddress(address))),
    };
  });
  return {
    rules,
    anonymous: anonymous === NOBODY ? undefined : anonymous,
    tokenFile: tokens,
  };
}

/** Whether the server is to carry builds and merges of a gate. */
export function hasGateRoles({ identities }: AuthConfig): boolean {
  return Object.values(identities).some(({ role }) => role !== undefined);
}

/** A gate may also run builds and merge itself. */
const ROLES: Readonly<
  Record<GateRole, { readonly submit: readonly string[]; readonly work: readonly string[] }>
> = {
  gate: { submit: ["gate:*"], work: ["gate:*"] },
  executor: { submit: [], work: ["gate:build:*", "gate:resume:*"] },
  merger: { submit: [], work: ["gate:merge"] },
};

const submitted = (role: GateRole | undefined): readonly string[] =>
  role === undefined ? [] : ROLES[role].submit;
const worked = (role: GateRole | undefined): readonly string[] =>
  role === undefined ? [] : ROLES[role].work;

/** Names on the wire are bytes: what is not ASCII matches as its UTF-8. */
function onTheWire(glob: string): string {
  return Buffer.from(glob, "utf8").toString("latin1");
}

/** Places of identities at which the server does not listen, so that nobody comes by them. */
export function unusedPlaces({ rules }: IdentityRules, listen: readonly string[]): string[] {
  return rules.flatMap(({ name, listeners = [], sockets = [] }) =>
    [...listeners, ...sockets.map((path) => `unix:${path}`)]
      .filter((address) => !listen.includes(address))
      .map((address) => `auth.identities.${name}: the server does not listen on ${address}`),
  );
}
