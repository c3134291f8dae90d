export { x } from "./core/index.ts";

import { y } from "@drover/protocol";
export const z = y;
