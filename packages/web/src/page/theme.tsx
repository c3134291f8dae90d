import { signal } from "@preact/signals";

const THEMES = ["system", "light", "dark"] as const;
type Theme = (typeof THEMES)[number];
const KEPT = "drover-theme";

export const theme = signal<Theme>(THEMES.find((one) => one === localStorage.getItem(KEPT)) ?? "system");

const systemIsDark = matchMedia("(prefers-color-scheme: dark)");
/** Goes up when colours change: what is drawn on a canvas is to be drawn again. */
export const palette = signal(0);
systemIsDark.addEventListener("change", () => {
  palette.value++;
});

export function applyTheme(): void {
  document.documentElement.dataset.theme = theme.value;
  palette.value++;
}

function choose(chosen: Theme): void {
  theme.value = chosen;
  if (chosen === "system") localStorage.removeItem(KEPT);
  else localStorage.setItem(KEPT, chosen);
  applyTheme();
}

const NAMES: Readonly<Record<Theme, string>> = { system: "System", light: "Light", dark: "Dark" };

export function ThemeSwitch() {
  return (
    <label class="theme">
      <span class="hidden">Colours</span>
      <select value={theme.value} onChange={(event) => choose(event.currentTarget.value as Theme)}>
        {THEMES.map((one) => (
          <option key={one} value={one}>
            {NAMES[one]}
          </option>
        ))}
      </select>
    </label>
  );
}
