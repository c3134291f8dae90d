import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { DeadLettersPage } from "./dead-letters-page.tsx";
import { Dialogs } from "./dialogs.tsx";
import { FunctionPage } from "./function-page.tsx";
import { FunctionsPage } from "./functions-page.tsx";
import { gateConnection, hasGate } from "./gate/presence.ts";
import { JobPage } from "./job-page.tsx";
import { connection } from "./live.ts";
import { Notices } from "./notices.tsx";
import { Empty } from "./pieces.tsx";
import { changeHref, type GateRoute, isOfGate, type Route, route, searchHref } from "./route.ts";
import { SchedulesPage } from "./schedules-page.tsx";
import { SearchPage } from "./search-page.tsx";
import { tokenState } from "./session.ts";
import { ThemeSwitch } from "./theme.tsx";
import { WorkersPage } from "./workers-page.tsx";

const TABS: readonly { href: string; name: string; pages: readonly Route["page"][] }[] = [
  { href: "#/", name: "Functions", pages: ["functions", "function", "job"] },
  { href: "#/workers", name: "Workers", pages: ["workers"] },
  { href: "#/dead-letters", name: "Dead letters", pages: ["dead-letters"] },
  { href: "#/schedules", name: "Schedules", pages: ["schedules"] },
];

export function App() {
  const [filter, setFilter] = useState("");
  const [gateFilter, setGateFilter] = useState("");
  const at = route.value;
  const isInGate = isOfGate(at);
  const search = useRef<HTMLInputElement>(null);
  const main = useRef<HTMLElement>(null);
  useSlash(search);
  useArrival(at, main);
  return (
    <>
      <button type="button" class="skip" onClick={() => main.current!.focus()}>
        Skip to the content
      </button>
      <header>
        <a class="brand" href="#/">
          <Mark />
          Drover
        </a>
        <nav aria-label="Pages">
          {TABS.map(({ href, name, pages }) => (
            <a key={href} href={href} aria-current={pages.includes(at.page) ? "page" : undefined}>
              {name}
            </a>
          ))}
          {(hasGate.value || isInGate) && (
            <a href="#/gate" aria-current={isInGate ? "page" : undefined}>
              Gate
            </a>
          )}
        </nav>
        {isInGate ? (
          <Search {...OF_GATE} field={search} text={gateFilter} onText={setGateFilter} />
        ) : (
          <Search {...OF_SERVER} field={search} text={filter} onText={setFilter} />
        )}
        <ConnectionState />
        <ThemeSwitch />
      </header>
      <main ref={main} id="main" tabIndex={-1}>
        {isInGate ? <Gate at={at} filter={gateFilter} /> : <Content at={at} filter={filter} />}
      </main>
      <Notices />
      <Dialogs />
    </>
  );
}

function Content({ at, filter }: { readonly at: Exclude<Route, GateRoute>; readonly filter: string }) {
  switch (at.page) {
    case "functions":
      return <FunctionsPage filter={filter} />;
    case "function":
      return <FunctionPage key={at.name} name={at.name} />;
    case "job":
      return <JobPage key={at.handle} handle={at.handle} />;
    case "workers":
      return <WorkersPage />;
    case "dead-letters":
      return <DeadLettersPage />;
    case "schedules":
      return <SchedulesPage />;
    case "search":
      return <SearchPage key={at.text} text={at.text} />;
    case "unknown":
      return <Empty title="There is nothing here" />;
  }
}

type GatePages = typeof import("./gate/pages.tsx");

/** The gate's pages, which whoever has no gate does not load. */
const gatePages = signal<GatePages | "missing" | undefined>(undefined);

function Gate({ at, filter }: { readonly at: GateRoute; readonly filter: string }) {
  useEffect(() => {
    import("./gate/pages.tsx").then(
      (loaded) => {
        gatePages.value = loaded;
      },
      () => {
        gatePages.value = "missing";
      },
    );
  }, []);
  const pages = gatePages.value;
  if (pages === undefined) return <p class="quiet">Loading …</p>;
  if (pages === "missing")
    return <Empty title="The server has another version of this page: load it again" />;
  return <pages.GatePages at={at} filter={filter} />;
}

const OF_SERVER = {
  label: "Filter functions, or enter a unique or handle",
  placeholder: "Filter; Enter finds a unique or handle",
  hrefOf: searchHref,
};
const OF_GATE = {
  label: "Filter queue items, or enter a change's number",
  placeholder: "Filter; Enter finds a change's number",
  hrefOf: (text: string) => (/^[1-9]\d{0,14}$/.test(text) ? changeHref(Number(text)) : "#/gate"),
};

/** Filters the list while it is typed, and leads on when it is entered. */
function Search({
  label,
  placeholder,
  hrefOf,
  field,
  text,
  onText,
}: {
  readonly label: string;
  readonly placeholder: string;
  readonly hrefOf: (text: string) => string;
  readonly field: { current: HTMLInputElement | null };
  readonly text: string;
  readonly onText: (text: string) => void;
}) {
  return (
    <search class="search">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (text.trim() !== "") location.hash = hrefOf(text.trim());
        }}
      >
        <input
          ref={field}
          type="search"
          aria-label={label}
          aria-keyshortcuts="/"
          placeholder={placeholder}
          value={text}
          onInput={(event) => onText(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "Escape") onText("");
          }}
        />
      </form>
    </search>
  );
}

const CONNECTION_NAMES = { connecting: "Connecting", live: "Live", lost: "Reconnecting" } as const;

function ConnectionState() {
  const state = gateConnection.value ?? connection.value;
  if (gateConnection.value === null && tokenState.value === "declined") {
    const ask = () => {
      tokenState.value = "asking";
    };
    return (
      <button type="button" onClick={ask}>
        Give a token
      </button>
    );
  }
  return (
    <span class={`connection ${state}`} role="status">
      {CONNECTION_NAMES[state]}
    </span>
  );
}

/** `/` leads to the search, wherever nothing is typed. */
function useSlash(search: { current: HTMLInputElement | null }): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
      if ((event.target as Element).closest("input, textarea, select, dialog") !== null) return;
      event.preventDefault();
      search.current!.focus();
      search.current!.select();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [search]);
}

/** Names the page, and on another one leads the focus to its heading, so that it is read out. */
function useArrival(at: Route, main: { current: HTMLElement | null }): void {
  const isFirst = useRef(true);
  const pages = gatePages.value;
  useEffect(() => {
    const heading = main.current!.querySelector("h1");
    document.title = `${heading?.textContent ?? "Drover"} – Drover`;
    // Of a page that is still loaded.
    if (isOfGate(at) && pages === undefined) return;
    if (isFirst.current) isFirst.current = false;
    else heading?.focus({ preventScroll: true });
    scrollTo(0, 0);
  }, [at, pages]);
}

function Mark() {
  return (
    <svg viewBox="0 0 32 32" width="24" height="24" aria-hidden="true">
      <rect width="32" height="32" rx="7" fill="currentColor" />
      <g fill="none" stroke="var(--paper)" stroke-width="3" stroke-linecap="round">
        <path d="M6 8c8 0 8 8 14 8" />
        <path d="M6 16h20" />
        <path d="M6 24c8 0 8-8 14-8" />
      </g>
    </svg>
  );
}
