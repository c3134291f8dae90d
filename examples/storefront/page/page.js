const SHOWN_MS = 120_000;
const MAX_LOG = 20;
const WIDTH = 600;
const HEIGHT = 200;
/** The top of the chart: as many in a second. */
const TOP = 10_000;

const byId = (id) => document.getElementById(id);
const number = new Intl.NumberFormat("en");

/** What each second brought, oldest first. */
const rates = [];
let before;
let wereUp = new Map();

function log(text) {
  const line = document.createElement("li");
  const time = document.createElement("time");
  time.textContent = new Date().toLocaleTimeString();
  line.append(time, ` ${text}`);
  byId("log").prepend(line);
  while (byId("log").children.length > MAX_LOG) byId("log").lastChild.remove();
}

function svg(name, attributes, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  return element;
}

/** From less than one in ten seconds, at the bottom, to `TOP`. */
const height = (rate) => HEIGHT - (HEIGHT * Math.log10(Math.max(rate, 0.1) * 10)) / Math.log10(TOP * 10);

for (const rate of [1, 10, 100, 1_000]) {
  const y = height(rate);
  byId("scale").append(
    svg("line", { x1: 0, x2: WIDTH, y1: y, y2: y }),
    svg("text", { x: 2, y: y - 3 }, `${number.format(rate)}/s`),
  );
}

function draw() {
  const now = rates.at(-1)?.atMs ?? 0;
  while (rates.length > 0 && now - rates[0].atMs > SHOWN_MS) rates.shift();
  for (const name of ["requests", "computations"]) {
    const points = rates.map((rate) => {
      const x = WIDTH * (1 - (now - rate.atMs) / SHOWN_MS);
      return `${x.toFixed(1)},${height(rate[name]).toFixed(1)}`;
    });
    byId(`${name}-line`).setAttribute("points", points.join(" "));
  }
}

function showServices(services) {
  byId("services").replaceChildren(
    ...services.map(({ name, isUp }) => {
      const item = document.createElement("li");
      item.textContent = `${name}: ${isUp ? "up" : "down"}`;
      item.className = isUp ? "up" : "down";
      if (wereUp.has(name) && wereUp.get(name) !== isUp) log(`${name} is ${isUp ? "up again" : "down"}`);
      return item;
    }),
  );
  wereUp = new Map(services.map(({ name, isUp }) => [name, isUp]));
}

function show(figures) {
  const { requests, computations, shops } = figures;
  const { wrong, failed, waiting, processes, crashes } = figures;
  const counts = { requests, computations, wrong, failed, waiting, processes, crashes };
  for (const [id, count] of Object.entries({ ...counts, ...shops }))
    byId(id).textContent = number.format(count);
  byId("ratio").textContent = computations === 0 ? "–" : number.format(Math.round(requests / computations));
  byId("slowest").textContent = `${number.format(Math.round(figures.slowestMs))} ms`;
  byId("failed").title = figures.lastFailure;
  showServices(figures.services);
  before ??= figures;
  const seconds = (figures.atMs - before.atMs) / 1_000;
  if (seconds < 1) return;
  rates.push({
    atMs: figures.atMs,
    requests: (requests - before.requests) / seconds,
    computations: (computations - before.computations) / seconds,
  });
  before = figures;
  draw();
}

for (const button of document.querySelectorAll("button")) {
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      const response = await fetch(`actions/${button.dataset.action}`, { method: "POST" });
      const { done, error } = await response.json();
      log(done ?? error);
    } catch {
      log("the storefront does not answer");
    }
    button.disabled = false;
  });
}

const events = new EventSource("events");
events.addEventListener("message", ({ data }) => show(JSON.parse(data)));
events.addEventListener("error", () => log("lost the storefront; trying again"));
