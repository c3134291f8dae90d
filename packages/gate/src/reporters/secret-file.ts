import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { DeliveryFailed } from "./delivery-failed.ts";

/**
 * The text of a file, without the white space around it. It is read each time, so that it can be changed while the gate runs.
 * @param folder Below which it is, unless its path is absolute.
 * @throws DeliveryFailed with the path that is configured, and nothing of the content
 */
export async function readSecret(folder: string, file: string): Promise<string> {
  let text: string;
  try {
    text = (await readFile(resolve(folder, file), "utf8")).trim();
  } catch (error) {
    throw new DeliveryFailed(`${file} cannot be read: ${(error as NodeJS.ErrnoException).code}`);
  }
  if (text === "") throw new DeliveryFailed(`${file} is empty`);
  return text;
}
