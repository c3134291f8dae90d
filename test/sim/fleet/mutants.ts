import { Fleet } from "../../../packages/server/src/core/fleet.ts";

/*
 * Fleets that are wrong in one way each. The simulation has to notice every one of them; if it does not, it would not
 * notice the same mistake in the real one either.
 */

export interface FleetMutant {
  readonly name: string;
  /** The rules, one of which it is to break. */
  readonly rules: readonly string[];
  /** Makes all fleets wrong. @returns what puts them back. */
  readonly make: () => () => void;
}

/** A fleet with other members in one of its classes. */
function replacing<T extends object>(
  name: string,
  rules: readonly string[],
  prototype: T,
  change: (original: T) => object,
): FleetMutant {
  const make = () => {
    const before = Object.getOwnPropertyDescriptors(prototype);
    // What the originals are, whatever becomes of the prototype.
    const original = Object.create(null, before) as T;
    const changed = Object.getOwnPropertyDescriptors(change(original));
    Object.defineProperties(prototype, changed);
    return () => {
      for (const key of Object.keys(changed))
        Object.defineProperty(prototype, key, before[key as keyof typeof before]!);
    };
  };
  return { name, rules, make };
}

/** Nobody is believed to hold anything for others. */
function forgetHolders(fleet: Fleet): void {
  for (const member of fleet.members) member.holders.clear();
}

export const FLEET_MUTANTS: readonly FleetMutant[] = [
  replacing(
    "a forwarded submission is forwarded again",
    ["forwarded once"],
    Fleet.prototype,
    ({ takes }) => ({
      takes(this: Fleet, ...args: Parameters<Fleet["takes"]>) {
        args[1].forwarded = false;
        return takes.apply(this, args);
      },
    }),
  ),
  replacing("each server runs what it is sent", ["stable", "changes"], Fleet.prototype, ({ takes }) => ({
    takes(this: Fleet, ...args: Parameters<Fleet["takes"]>) {
      return args[1].forwarded && takes.apply(this, args);
    },
  })),
  replacing("who ran it meanwhile is not asked", ["hand-over"], Fleet.prototype, ({ up, setMembers }) => ({
    up(this: Fleet, name: string) {
      forgetHolders(this);
      up.call(this, name);
      forgetHolders(this);
    },
    setMembers(this: Fleet, names: readonly string[]) {
      setMembers.call(this, names);
      forgetHolders(this);
    },
  })),
  replacing("what a lost member had is not sent elsewhere", ["ends"], Fleet.prototype, () => ({
    down(this: Fleet, name: string) {
      const member = this.members.find((one) => one.name === name);
      if (member?.isReachable === true) member.become("down", 0);
    },
  })),
  replacing("that a job begins again is kept to itself", ["reports"], Fleet.prototype, () => ({
    restarted() {},
  })),
];
