import type { Asker } from "@drover/protocol";
import { Unauthenticated } from "./errors.ts";

/** Name of the option that carries a token, and of its answer. */
const AUTH_OPTION = "drover.auth";

/** The part of a session that asks for options. */
interface OptionAsker {
  option(name: string, asker: Asker<string>): void;
}

/**
 * Shows a server the token, as the first thing on a connection.
 * @param failed Told when the server does not take it, and nothing must be asked of it.
 */
export function showToken(
  session: OptionAsker,
  server: string,
  token: string,
  failed: (error: Unauthenticated) => void,
): void {
  const unable = "it takes no tokens: it is no Drover, or has no authentication configured";
  session.option(`${AUTH_OPTION}:${token}`, {
    answer: (name) => {
      // A server that passes over it in silence may answer the option behind it.
      if (name !== AUTH_OPTION) failed(new Unauthenticated(server, unable));
    },
    refused: ({ code, text }) =>
      failed(new Unauthenticated(server, code === "UNKNOWN_OPTION" ? unable : text)),
    lost() {},
  });
}

/** @throws RangeError for what can be no token, without showing it. */
export function checkToken(token: string | undefined): void {
  if (token !== undefined && !/^[\x21-\x7e]{1,1024}$/.test(token)) {
    throw new RangeError("token is not 1 to 1,024 visible ASCII characters");
  }
}
