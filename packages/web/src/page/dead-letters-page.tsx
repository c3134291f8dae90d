import type { DeadLetterJson, Page } from "@drover/server/api";
import { useRef, useState } from "preact/hooks";
import { confirmed } from "./dialogs.tsx";
import { bytes } from "./format.ts";
import { useLoaded } from "./loaded.ts";
import { Moment } from "./moment.tsx";
import { tell } from "./notices.tsx";
import { Act, Empty, Table, Trouble } from "./pieces.tsx";
import { functionHref } from "./route.ts";
import { act } from "./session.ts";

const REFRESH_MS = 3000;

export function DeadLettersPage() {
  const [after, setAfter] = useState("");
  const place = useRef<HTMLHeadingElement>(null);
  const query = after === "" ? "" : `?after=${encodeURIComponent(after)}`;
  const loaded = useLoaded<Page<DeadLetterJson>>(`v1/dead-letters${query}`, REFRESH_MS);
  const page = loaded.value;

  const attempt = async (what: string, doIt: () => Promise<void>): Promise<void> => {
    try {
      await doIt();
      tell(what);
      // Its row goes, and the focus with it.
      place.current?.focus();
      loaded.again();
    } catch (error) {
      tell((error as Error).message, true);
    }
  };
  const requeue = async ({ handle, function: fn }: DeadLetterJson): Promise<void> => {
    const text = `${handle} is submitted to ${fn} again, as a background job with new attempts.`;
    if (!(await confirmed("Requeue this job?", text, "Requeue"))) return;
    await attempt(`${handle} is queued again`, () => act("POST", `${path(handle)}/requeue`));
  };
  const forget = async ({ handle, function: fn }: DeadLetterJson): Promise<void> => {
    const text = `${handle} of ${fn} and its workload are lost for good.`;
    if (!(await confirmed("Delete this dead letter?", text, "Delete"))) return;
    await attempt(`${handle} is deleted`, () => act("DELETE", path(handle)));
  };

  return (
    <>
      <h1 tabIndex={-1} ref={place}>
        Dead letters
      </h1>
      <Trouble of={loaded} />
      {page !== undefined && page.items.length === 0 && (
        <Empty title="No dead letters">
          <p>Background jobs whose attempts are spent are kept here, to be looked at, requeued or deleted.</p>
        </Empty>
      )}
      {page !== undefined && page.items.length > 0 && (
        <Table
          caption="Dead letters"
          columns={["Handle", "Function", "Unique", "Reason", "#Attempts", "#Workload", "Died", "Acts"]}
        >
          {page.items.map((letter) => (
            <tr key={letter.handle}>
              <th scope="row" class="handle">
                {letter.handle}
              </th>
              <td class="text">
                <a href={functionHref(letter.function)}>{letter.function}</a>
              </td>
              <td class="text">{letter.unique === "" ? <span class="quiet">none</span> : letter.unique}</td>
              <td>{letter.reason}</td>
              <td class="number">{letter.attempts}</td>
              <td class="number">{bytes(letter.workloadBytes)}</td>
              <td>
                <Moment at={letter.died} />
              </td>
              <td class="acts">
                <Act label={`Requeue ${letter.handle}`} onClick={() => void requeue(letter)}>
                  Requeue
                </Act>
                <Act label={`Delete ${letter.handle}`} danger onClick={() => void forget(letter)}>
                  Delete
                </Act>
              </td>
            </tr>
          ))}
        </Table>
      )}
      <div class="buttons">
        {after !== "" && (
          <button type="button" onClick={() => setAfter("")}>
            Newest
          </button>
        )}
        {page !== undefined && page.next !== null && (
          <button type="button" onClick={() => setAfter(page.next!)}>
            Older
          </button>
        )}
      </div>
    </>
  );
}

function path(handle: string): string {
  return `v1/dead-letters/${encodeURIComponent(handle)}`;
}
