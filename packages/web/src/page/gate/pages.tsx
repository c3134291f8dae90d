import type { GateRoute } from "../route.ts";
import "./gate.css";
import { AutoholdsPage } from "./autoholds-page.tsx";
import { BuildPage } from "./build-page.tsx";
import { BuildsPage } from "./builds-page.tsx";
import { ChangePage } from "./change-page.tsx";
import { ChangesPage } from "./changes-page.tsx";
import { ConfigPage } from "./config-page.tsx";
import { FlakesPage } from "./flakes-page.tsx";
import { JobsPage } from "./jobs-page.tsx";
import { GateMenu } from "./pieces.tsx";
import { StatusPage } from "./status-page.tsx";
import { TimelinePage } from "./timeline-page.tsx";

export function GatePages({ at, filter }: { readonly at: GateRoute; readonly filter: string }) {
  return (
    <>
      <GateMenu at={at} />
      <Content at={at} filter={filter} />
    </>
  );
}

function Content({ at, filter }: { readonly at: GateRoute; readonly filter: string }) {
  switch (at.page) {
    case "gate":
      return <StatusPage filter={filter} />;
    case "gate-change":
      return <ChangePage key={at.number} number={at.number} />;
    case "gate-build":
      return <BuildPage key={at.id} id={at.id} />;
    case "gate-builds":
      return <BuildsPage key={at.query} query={at.query} />;
    case "gate-changes":
      return <ChangesPage key={at.query} query={at.query} />;
    case "gate-timeline":
      return <TimelinePage key={at.buildset} buildset={at.buildset} />;
    case "gate-jobs":
      return <JobsPage />;
    case "gate-flakes":
      return <FlakesPage />;
    case "gate-autoholds":
      return <AutoholdsPage />;
    case "gate-config":
      return <ConfigPage />;
  }
}
