import { encodePacket, PacketType, RES } from "@drover/protocol";
import type { Fleet } from "./fleet.ts";
import type { Job } from "./job.ts";
import type { Peer } from "./peer.ts";
import type { Answer, Question } from "./questions.ts";
import type { ServerState } from "./state.ts";

/*
 * What connections ask of jobs that other servers of the fleet have. Members are not asked for members, which ask everybody
 * themselves. Each function returns false when nobody can be asked.
 */

/** `GET_STATUS`. @param job What stands for it here, if it is a foreground one. */
export function asksStatus(
  fleet: Fleet,
  peer: Peer,
  handle: string,
  number: number,
  job: Job | undefined,
): boolean {
  const place = placeFor(fleet, peer, number, job);
  if (place === undefined) return false;
  const unanswered = [job === undefined ? "0" : "1", "0", "0", "0"];
  return fleet.questions.ask(peer, [place.member], { kind: "status", handle: place.handle }, (answer) => {
    const args = answer?.slice(0, 4) ?? unanswered;
    if (args[1] === "1" && job !== undefined && job.run !== null) job.run.begun = true;
    return encodePacket(RES, PacketType.STATUS_RES, [handle, ...args]);
  });
}

/** `GET_STATUS_UNIQUE`, which names no function, so that any member may have the job. */
export function asksUnique(fleet: Fleet, peer: Peer, unique: string, job: Job | undefined): boolean {
  if (peer.fleetName !== "" || !peer.identity.mayLookAtAll) return false;
  const first = job === undefined ? "" : (fleet.placeOf(job)?.member ?? "");
  const others = fleet.members.filter(({ name, isSelf }) => !isSelf && name !== first);
  const members = [...(first === "" ? [] : [first]), ...others.map(({ name }) => name)];
  return fleet.questions.ask(peer, members, { kind: "unique", unique }, (answer) => {
    const here = job === undefined ? 0 : job.submissionCount;
    // There, this server is one that waits, for all that wait here.
    const there = answer === null ? 0 : Number(answer[4]) - (here > 0 ? 1 : 0);
    const args = answer?.slice(0, 4) ?? [here > 0 ? "1" : "0", "0", "0", "0"];
    return encodePacket(RES, PacketType.STATUS_RES_UNIQUE, [unique, ...args, String(here + there)]);
  });
}

/**
 * `GET_OUTCOME`, of a job that does not live here.
 * @param first Function, or handle where the unique is empty.
 * @param number Of that handle, else -1.
 * @param local The answer where nobody knows more.
 */
export function asksOutcome(
  state: ServerState,
  fleet: Fleet,
  peer: Peer,
  first: string,
  unique: string,
  number: number,
  job: Job | undefined,
  local: Uint8Array,
): boolean {
  if (peer.fleetName !== "") return false;
  const own = job === undefined ? (unique === "" ? first : undefined) : state.handles.text(job.number);
  const encode = (answer: Answer) => {
    if (answer === null) return local;
    const [handle, ...rest] = answer;
    return encodePacket(RES, PacketType.OUTCOME_RES, [first, unique, own ?? handle!, ...rest]);
  };
  const place = placeFor(fleet, peer, number, job);
  if (place !== undefined) {
    const question: Question = { kind: "outcome", fn: place.handle, unique: "" };
    return fleet.questions.ask(peer, [place.member], question, encode);
  }
  if (unique === "" || !peer.identity.mayLookAt(first)) return false;
  const others = fleet.rank(first, unique).filter(({ isSelf }) => !isSelf);
  const members = others.map(({ name }) => name);
  return fleet.questions.ask(peer, members, { kind: "outcome", fn: first, unique }, encode);
}

/** Which member has a job of this server's handle, and as what. */
function placeFor(
  fleet: Fleet,
  peer: Peer,
  number: number,
  job: Job | undefined,
): { readonly member: string; readonly handle: string } | undefined {
  const place = job === undefined ? fleet.given.find(peer, number) : fleet.placeOf(job);
  return place === undefined || place.handle === "" ? undefined : place;
}
