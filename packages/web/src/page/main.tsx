import { render } from "preact";
import "uplot/dist/uPlot.min.css";
import "./styles.css";
import { App } from "./app.tsx";
import { followServer } from "./live.ts";
import { applyTheme } from "./theme.tsx";

applyTheme();
followServer();
render(<App />, document.getElementById("page")!);
