import { signal } from "@preact/signals";

/** Where the page is. Behind the `#`, so that the server has one file to give, under any path. */
export type Route =
  | { readonly page: "functions" | "workers" | "dead-letters" | "schedules" | "unknown" }
  | { readonly page: "function"; readonly name: string }
  | { readonly page: "job"; readonly handle: string }
  | { readonly page: "search"; readonly text: string }
  | GateRoute;

export type GateRoute =
  | { readonly page: "gate" | "gate-config" | "gate-jobs" | "gate-flakes" | "gate-autoholds" }
  | { readonly page: "gate-timeline"; readonly buildset: string }
  | { readonly page: "gate-change"; readonly number: number }
  | { readonly page: "gate-build"; readonly id: string }
  /** `query`: what its filter was. */
  | { readonly page: "gate-builds" | "gate-changes"; readonly query: string };

export const route = signal<Route>(parse(location.hash));

addEventListener("hashchange", () => {
  route.value = parse(location.hash);
});

function parse(hash: string): Route {
  const [page = "", ...rest] = hash.replace(/^#\/?/, "").split("/");
  const name = decoded(rest.join("/"));
  if (name === null) return { page: "unknown" };
  switch (page) {
    case "":
      return { page: "functions" };
    case "workers":
    case "dead-letters":
    case "schedules":
      return { page };
    case "functions":
      return name === "" ? { page: "functions" } : { page: "function", name };
    case "jobs":
      return { page: "job", handle: name };
    case "search":
      return { page: "search", text: name };
    case "gate":
      return parseGate(rest);
    default:
      return { page: "unknown" };
  }
}

function parseGate([first = "", ...rest]: readonly string[]): Route {
  const [page, query = ""] = first.split("?");
  const name = decoded(rest.join("/"));
  if (page === "" && name === "") return { page: "gate" };
  if (page === "config" && name === "") return { page: "gate-config" };
  if (page === "jobs" && name === "") return { page: "gate-jobs" };
  if (page === "flakes" && name === "") return { page: "gate-flakes" };
  if (page === "autoholds" && name === "") return { page: "gate-autoholds" };
  if (page === "buildsets" && /^\d{1,15}$/.test(name ?? ""))
    return { page: "gate-timeline", buildset: name! };
  if (page === "changes" && name === "") return { page: "gate-changes", query };
  if (page === "builds") return name ? { page: "gate-build", id: name } : { page: "gate-builds", query };
  if (page === "changes" && /^[1-9]\d{0,14}$/.test(name ?? ""))
    return { page: "gate-change", number: Number(name) };
  return { page: "unknown" };
}

export function isOfGate(at: Route): at is GateRoute {
  return at.page === "gate" || at.page.startsWith("gate-");
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

export const functionHref = (name: string): string => `#/functions/${encodeURIComponent(name)}`;
export const jobHref = (handle: string): string => `#/jobs/${encodeURIComponent(handle)}`;
export const searchHref = (text: string): string => `#/search/${encodeURIComponent(text)}`;
export const changeHref = (number: number): string => `#/gate/changes/${number}`;
export const buildHref = (id: string): string => `#/gate/builds/${encodeURIComponent(id)}`;
export const buildsetHref = (id: number): string => `#/gate/buildsets/${id}`;
