import { render } from "preact";
import "uplot/dist/uPlot.min.css";
import "./styles.css";
import { App } from "./app.tsx";
import { lookForGate } from "./gate/presence.ts";
import { followServer } from "./live.ts";
import { applyTheme } from "./theme.tsx";

applyTheme();
followServer();
lookForGate();
render(<App />, document.getElementById("page")!);
