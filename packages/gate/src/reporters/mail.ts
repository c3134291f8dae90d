import { connect, type Socket } from "node:net";
import type { SmtpConnection } from "../config/index.ts";
import { DeliveryFailed, type DeliveryPlace } from "./delivery-failed.ts";
import type { Letter } from "./outbox.ts";
import { readSecret } from "./secret-file.ts";

/**
 * Sends a report as mail. Its `Message-ID` is the same each time, by which a mailbox can tell repeats.
 * @throws DeliveryFailed
 */
export async function deliverByMail(
  connection: SmtpConnection,
  id: string,
  { body, mail }: Letter,
  { folder, signal }: DeliveryPlace,
): Promise<{ response: string }> {
  const { server, port, user, passwordFile, useStarttls, timeoutMs } = connection;
  const pass = passwordFile === null ? undefined : await readSecret(folder, passwordFile);
  // Only gates that send mail load it.
  const { createTransport } = await import("nodemailer");
  const isEncrypted = port === 465;
  // Of our own, so that it ends when we do not wait any more: a server may be slow for as long as it likes.
  let socket: Socket | undefined;
  const transport = createTransport({
    ...{ host: server, port, secure: isEncrypted },
    ...(isEncrypted ? {} : useStarttls ? { requireTLS: true } : { ignoreTLS: true }),
    ...(user === null ? {} : { auth: { user, pass: pass ?? "" } }),
    ...{ connectionTimeout: timeoutMs, greetingTimeout: timeoutMs, socketTimeout: timeoutMs },
    ...{ disableFileAccess: true, disableUrlAccess: true },
    getSocket: (_options, got) => {
      const opened = connect({ host: server, port });
      socket = opened;
      opened.on("error", (error) => got(error));
      opened.once("connect", () => got(null, { connection: opened }));
    },
  });
  const sent = transport.sendMail({
    from: mail?.from ?? connection.defaultFrom,
    to: mail?.to ?? connection.defaultTo,
    subject: mail?.subject ?? `Report of ${body.pipeline}`,
    text: body.text,
    date: new Date(body.atMs),
    messageId: `<${id}@${body.gate}.drover.invalid>`,
    headers: { "Auto-Submitted": "auto-generated", "X-Drover-Report": body.report },
  });
  try {
    const { response } = await within(sent, timeoutMs, signal);
    return { response };
  } catch (error) {
    if (error instanceof DeliveryFailed) throw error;
    const { code, message, responseCode, command } = error as NodeJS.ErrnoException & {
      readonly responseCode?: number;
      readonly command?: string;
    };
    const why =
      responseCode === undefined
        ? // Of the platform, such as what is wrong with a certificate.
          code === "ESOCKET"
          ? message
          : (code ?? "the connection failed")
        : `${responseCode}${command === undefined ? "" : ` to ${command.split(" ")[0]}`}`;
    throw new DeliveryFailed(`${server}:${port} did not take the mail: ${why}`, { responseCode });
  } finally {
    transport.close();
    socket?.destroy();
  }
}

/** A server that keeps each of its words just short of the limit must not hold up the others for hours. */
async function within<T>(work: Promise<T>, timeoutMs: number, signal: AbortSignal): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  let onAbort = (): void => {};
  const over = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new DeliveryFailed(`not done within ${timeoutMs / 1_000} s`)), timeoutMs);
    onAbort = () => reject(new DeliveryFailed("the gate ends"));
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
  // What comes later is nobody's any more.
  work.catch(() => {});
  try {
    return await Promise.race([work, over]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
  }
}
