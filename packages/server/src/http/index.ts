export { DEFAULT_HTTP_PORT, HttpServer, type HttpServerOptions } from "./http-server.ts";
export { DEFAULT_HTTP_LIMITS, type HttpHandlers, type HttpLimits, HttpListener } from "./listeners.ts";
