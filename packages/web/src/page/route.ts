import { signal } from "@preact/signals";

/** Where the page is. Behind the `#`, so that the server has one file to give, under any path. */
export type Route =
  | { readonly page: "functions" | "workers" | "dead-letters" | "schedules" | "unknown" }
  | { readonly page: "function"; readonly name: string }
  | { readonly page: "job"; readonly handle: string }
  | { readonly page: "search"; readonly text: string };

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
    default:
      return { page: "unknown" };
  }
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
