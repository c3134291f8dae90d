export { DEFAULT_HTTP_PORT, type HttpExtension, HttpServer, type HttpServerOptions } from "./http-server.ts";
export { DEFAULT_HTTP_LIMITS, type HttpHandlers, type HttpLimits, HttpListener } from "./listeners.ts";
export { Problem, type ProblemDetails, type ProblemName, sendProblem } from "./problems.ts";
