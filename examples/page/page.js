// `browser.js` and the two `browser-….js` beside it are the files of drover/browser, copied beside this one.
import { Client, Worker } from "./browser.js";

const form = document.querySelector("form");
const output = document.querySelector("output");
const progress = document.querySelector("progress");

// Both go to where this page comes from. Elsewhere: { servers: "wss://jobs.example.com", token: "…" }.
const client = new Client();
const worker = new Worker();

worker.handle("shout", async (job) => {
  const words = new TextDecoder().decode(job.workload).split(" ");
  for (const [i, word] of words.entries()) {
    await job.data(`${word.toUpperCase()} `);
    job.status(i + 1, words.length);
  }
  return `${words.length} words`;
});
worker.run();

let leave = new AbortController();
form.elements.cancel.onclick = () => leave.abort();

form.onsubmit = async (event) => {
  event.preventDefault();
  leave = new AbortController();
  output.value = "";
  const { value } = form.elements.text;
  // Who shouts the same, in whichever page, shares the work.
  const job = client.submit("shout", value, { unique: value, signal: leave.signal });
  try {
    for await (const report of job) {
      if (report.type === "data") output.value += new TextDecoder().decode(report.data);
      if (report.type === "status") progress.value = report.numerator / report.denominator;
    }
    output.value += `(${new TextDecoder().decode(await job.result())})`;
  } catch (error) {
    output.value = error.message;
  }
};
