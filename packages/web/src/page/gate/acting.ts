import type { DoneView } from "@drover/gate/api";
import { askedToken } from "../dialogs.tsx";
import { tell } from "../notices.tsx";
import { gateToken, keepGateToken, post, Refusal, remove, session } from "../session.ts";

/* What is done at the gate is done by one of its users, whom a token tells. */

const TITLE = "The gate asks for your token";
const FIRST = "Whatever you do here is done in your name.";
const AGAIN = "The gate does not know the token that it got. Give another one.";

async function askForToken(text: string): Promise<boolean> {
  const token = await askedToken(TITLE, text);
  if (token === null || token === "") return false;
  keepGateToken(token);
  return true;
}

/** Asks for a token to look with, and loads again whatever was refused. */
export async function askForLook(): Promise<void> {
  if (await askForToken(gateToken() === null ? FIRST : AGAIN)) session.value++;
}

/** Does it in the name of whoever's token is kept, and tells how it went. @returns whether it was done. */
export function acted(path: string, body: object): Promise<boolean> {
  return attempted(() => post<DoneView>(path, body));
}

/** As `acted`, of what is deleted. */
export function deleted(path: string): Promise<boolean> {
  return attempted(() => remove<DoneView>(path));
}

async function attempted(act: () => Promise<DoneView>): Promise<boolean> {
  try {
    for (let text = FIRST; ; text = AGAIN) {
      if (gateToken() === null && !(await askForToken(text))) return false;
      const done = await did(act);
      if (done !== undefined) {
        tell(done.join("; "));
        return true;
      }
      keepGateToken(null);
    }
  } catch (error) {
    tell(error instanceof Refusal ? error.message : String(error), true);
    return false;
  }
}

/** What came of it; `undefined`: the token is not known. @throws Refusal for any other reason. */
async function did(act: () => Promise<DoneView>): Promise<readonly string[] | undefined> {
  try {
    return (await act()).done;
  } catch (error) {
    if (error instanceof Refusal && error.status === 401) return undefined;
    throw error;
  }
}
