import type { ComponentChildren } from "preact";
import type { Loaded } from "./loaded.ts";
import { mayAct } from "./session.ts";

/** Nothing is here: what to do next. */
export function Empty({
  title,
  children,
}: {
  readonly title: string;
  readonly children?: ComponentChildren;
}) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children}
    </div>
  );
}

/** Lines for a terminal. */
export function Command({ children }: { readonly children: string }) {
  return (
    <pre class="command">
      <code>{children}</code>
    </pre>
  );
}

/** A command line that submits a background job here. */
export function submitCommand(name: string): string {
  const url = new URL(`v1/functions/${encodeURIComponent(name)}/jobs`, location.href.split("#")[0]);
  return `curl -H 'Prefer: respond-async' -d 'hello' ${shellQuoted(url.href)}`;
}

export function workCommand(name: string): string {
  return `npx drover work -f ${shellQuoted(name)} -- tr a-z A-Z`;
}

function shellQuoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

const LOOKS: Readonly<Record<string, string>> = {
  running: "good",
  done: "good",
  merged: "good",
  asleep: "quiet",
  failed: "bad",
  dead: "bad",
  abandoned: "bad",
  paused: "warn",
  delayed: "quiet",
};

export function State({ children }: { readonly children: string }) {
  return <span class={`state ${LOOKS[children] ?? ""}`}>{children}</span>;
}

/** Facts in pairs. */
export function Facts({ of }: { readonly of: readonly (readonly [string, ComponentChildren])[] }) {
  return (
    <dl class="facts">
      {of.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** Why there is nothing to see, or nothing newer. */
export function Trouble({ of }: { readonly of: Loaded<unknown> }) {
  const { refusal, value } = of;
  if (refusal === undefined) return value === undefined ? <p class="quiet">Loading …</p> : null;
  const text =
    refusal.status === 403 ? "This token may not look here: its role must be status." : refusal.message;
  return (
    <p class="trouble" role="alert">
      {text}
    </p>
  );
}

/** A button for an act, which tells when this person may not. */
export function Act({
  label,
  children,
  danger = false,
  onClick,
}: {
  readonly label?: string;
  readonly children: string;
  readonly danger?: boolean;
  readonly onClick: () => void;
}) {
  const allowed = mayAct.value;
  return (
    <button
      type="button"
      class={danger ? "danger" : ""}
      disabled={!allowed}
      title={allowed ? undefined : "This token may only look: the role admin is needed"}
      aria-label={label}
      onClick={onClick}
    >
      {children}
    </button>
  );
}

/** A table that fits its content. */
export function Table({
  caption,
  columns,
  children,
}: {
  readonly caption: string;
  /** Names; those that begin with `#` are of numbers. */
  readonly columns: readonly string[];
  readonly children: ComponentChildren;
}) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
    <section class="scroll" aria-label={caption} tabIndex={0}>
      <table>
        <caption class="hidden">{caption}</caption>
        <thead>
          <tr>
            {columns.map((name) => (
              <th key={name} scope="col" class={name.startsWith("#") ? "number" : ""}>
                {name.replace(/^#/, "")}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </section>
  );
}
