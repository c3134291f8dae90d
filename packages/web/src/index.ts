import { resolve } from "node:path";

/** Folder of the built page, for `HttpServerOptions.dashboard`. `npm run dashboard` builds it, as `npm ci` does. */
export const DASHBOARD_FOLDER: string = resolve(import.meta.dirname, "../dist/page");
