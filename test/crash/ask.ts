import { once } from "node:events";
import { connect } from "node:net";

/** Asks the admin text protocol, whose answer ends with a line that is a dot. @returns the lines before it. */
export async function askOnce(port: number, command: string): Promise<string[]> {
  const socket = connect(port, "127.0.0.1");
  let text = "";
  socket.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
    if (text.endsWith("\n.\n") || text === ".\n") socket.end();
  });
  socket.write(`${command}\n`);
  await once(socket, "close");
  return text.split("\n").filter((line) => line !== "" && line !== ".");
}
