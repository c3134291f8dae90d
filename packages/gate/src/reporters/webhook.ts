import { createHmac } from "node:crypto";
import type { WebhookConnection } from "../config/index.ts";
import type { ReportBody } from "./body.ts";
import { DeliveryFailed, type DeliveryPlace } from "./delivery-failed.ts";
import { readSecret } from "./secret-file.ts";

/** Shortest key that signs, in bytes. */
const MIN_KEY_BYTES = 16;

/**
 * Posts a report as the Standard Webhooks have it: `webhook-id` is the report's and the same each time, `webhook-timestamp` the
 * attempt's in seconds, `webhook-signature` `v1,` and the HMAC-SHA-256 of `ID.TIMESTAMP.BODY` in base64. An answer of 2xx takes it;
 * redirections are not followed.
 * @throws DeliveryFailed
 * @see https://www.standardwebhooks.com
 */
export async function deliverToWebhook(
  { url, secretFile, timeoutMs }: WebhookConnection,
  id: string,
  body: ReportBody,
  { folder, signal, nowMs }: DeliveryPlace,
): Promise<{ status: number }> {
  const text = JSON.stringify(body);
  const timestamp = String(Math.floor(nowMs() / 1_000));
  const headers: Record<string, string> = {
    "content-type": "application/json",
    "user-agent": "drover-gate",
    "webhook-id": id,
    "webhook-timestamp": timestamp,
  };
  if (secretFile !== null) {
    const key = keyOf(await readSecret(folder, secretFile), secretFile);
    headers["webhook-signature"] = `v1,${signatureOf(key, id, timestamp, text)}`;
  }
  let status: number;
  try {
    const response = await fetch(url, {
      ...{ method: "POST", headers, body: text, redirect: "manual" },
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    });
    status = response.status;
    // What it says is not looked at, and may be endless.
    await response.body?.cancel();
  } catch (error) {
    throw new DeliveryFailed(`${originOf(url)} did not answer: ${reasonOf(error as Error, timeoutMs)}`);
  }
  if (status < 200 || status > 299) {
    const why = status >= 300 && status < 400 ? ", and redirections are not followed" : "";
    throw new DeliveryFailed(`${originOf(url)} answered ${status}${why}`, { status });
  }
  return { status };
}

/** In base64. */
export function signatureOf(key: Uint8Array, id: string, timestamp: string, text: string): string {
  return createHmac("sha256", key).update(`${id}.${timestamp}.${text}`).digest("base64");
}

/** `whsec_` and base64, as those who verify write it; else the text itself. */
function keyOf(text: string, file: string): Uint8Array {
  const key = text.startsWith("whsec_")
    ? Buffer.from(text.slice("whsec_".length), "base64")
    : Buffer.from(text);
  if (key.length >= MIN_KEY_BYTES) return key;
  throw new DeliveryFailed(`${file} holds a key of ${key.length} bytes, and it takes ${MIN_KEY_BYTES}`);
}

/** Paths of such addresses are often secrets themselves. */
function originOf(url: string): string {
  return new URL(url).origin;
}

function reasonOf(error: Error, timeoutMs: number): string {
  if (error.name === "TimeoutError") return `within ${timeoutMs / 1_000} s`;
  const cause = error.cause as NodeJS.ErrnoException | undefined;
  return cause?.code ?? "the connection failed";
}
