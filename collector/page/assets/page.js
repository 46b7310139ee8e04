// The page: it takes pictures from the sidecar, and shows them.

import { attribute, el, text } from "./dom.js";
import { bytes, percent, seconds } from "./format.js";
import { Row, begun } from "./row.js";
import { Strips } from "./strips.js";

const by = (id) => document.getElementById(id);
const [list, filter, sort, state, headline] = ["pools", "filter", "sort", "state", "headline"].map(by);
const strips = new Strips(by("strips"));
const rows = new Map(); // by id
const most = 50; // rows on the page; the others are on the next ones
let picture, came = 0, open = decodeURIComponent(location.hash.slice(1)), from = 0;

const fill = (p) => p.limit > 0 ? (p.used ?? 0) / p.limit : 0;
const orders = {
  name: (a, b) => a.name.localeCompare(b.name),
  fill: (a, b) => fill(b) - fill(a),
  oldest: (a, b) => (b.oldestWait ?? 0) - (a.oldestWait ?? 0),
  rate: (a, b) => (b.rate ?? 0) - (a.rate ?? 0),
};

function shown() {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  const pools = picture.pools.filter((p) => words.every((w) => `${p.name} ${p.kind} ${p.service ?? ""} ${p.level}`.toLowerCase().includes(w)));
  return sort.value === "worst" ? pools : pools.sort(orders[sort.value]); // worst first is how they come
}

// onPage returns the pools that get a row: those of the page, and the open one. While the pointer or
// the focus is on a row, the rows stay where they are.
function onPage(pools, still) {
  from = Math.max(0, Math.min(from, Math.ceil(pools.length / most - 1) * most));
  const page = pools.slice(from, from + most);
  const opened = pools.find((p) => p.id === open);
  if (opened && !page.includes(opened)) page.push(opened);
  if (!still) return page;
  const stay = [...list.children].map((e) => pools.find((p) => rows.get(p.id)?.root === e)).filter(Boolean);
  return [...new Set([...stay, ...page])].slice(0, Math.max(stay.length, most));
}

// arrange makes the list these pools, in their order.
function arrange(pools) {
  const ids = new Set(pools.map((p) => p.id));
  for (const [id, row] of rows) {
    if (ids.has(id)) continue;
    row.remove();
    rows.delete(id);
  }
  const first = begun(picture.pools.map((p) => p.spark.fill));
  text(by("span"), `fill and wait, ${seconds(Math.round((picture.course.cpu.length - first) * picture.step))}`);
  pools.forEach((p, i) => {
    if (!rows.has(p.id)) rows.set(p.id, new Row(p.id, choose));
    const row = rows.get(p.id);
    row.show(p, first);
    row.open(p.id === open);
    if (list.children[i] !== row.root) list.insertBefore(row.root, list.children[i] ?? null);
  });
}

// show shows the picture. With still, rows do not move under the pointer or the focus.
function show(still) {
  if (!picture) return;
  const pools = shown();
  arrange(onPage(pools, still && (list.matches(":hover") || list.contains(document.activeElement))));
  by("pages").hidden = pools.length <= most;
  text(by("range"), `${from + 1} to ${Math.min(from + most, pools.length)} of ${pools.length}`);
  by("previous").disabled = from === 0;
  by("next").disabled = from + most >= pools.length;
  by("empty").hidden = picture.pools.length > 0;
  strips.show(picture);
  text(by("service"), picture.service ?? "");
  text(by("memory"), picture.memory.refused > 0 ? `the picture is full: ${percent(picture.memory.used / picture.memory.limit)} of ${bytes(picture.memory.limit)}` : "");
  announce(pools.length);
}

// turn goes to another page of the list.
function turn(by) {
  from += by;
  show(false);
  list.scrollIntoView({ block: "start" });
}

// announce writes the headline: the worst pool and why.
function announce(shownPools) {
  const of = (level) => picture.pools.filter((p) => p.level === level);
  const [trouble, warning] = [of("trouble"), of("warning")];
  const worst = trouble[0] ?? warning[0];
  const title = el("span");
  const hidden = picture.pools.length - shownPools;
  const rest = [`${picture.pools.length} ${picture.pools.length === 1 ? "pool" : "pools"}`];
  if (trouble.length) rest.push(`${trouble.length} in trouble`);
  if (warning.length) rest.push(`${warning.length} to watch`);
  if (of("silent").length) rest.push(`${of("silent").length} silent`);
  if (hidden) rest.push(`${hidden} filtered out`);
  if (picture.pools.length === 0) title.textContent = "Waiting for the first points";
  else if (!worst) title.textContent = "Every pool serves its callers";
  else title.textContent = `${worst.name}: ${[worst.verdict, worst.reason].filter(Boolean).join("; ")}`;
  const small = el("small", "", picture.pools.length ? rest.join(" · ") : "");
  const words = title.textContent + small.textContent;
  attribute(headline, "data-level", worst?.level ?? "ok");
  if (headline.textContent !== words) headline.replaceChildren(title, small);
}

// choose opens or closes the charts of a pool.
function choose(row) {
  const before = rows.get(open);
  open = row.id === open ? "" : row.id;
  before?.open(false);
  if (open) row.open(true);
  history.replaceState(null, "", open ? `#${encodeURIComponent(open)}` : location.pathname);
}

function listen() {
  const stream = new EventSource("/api/v1/changes");
  stream.addEventListener("picture", (event) => {
    picture = JSON.parse(event.data);
    came = performance.now();
    requestAnimationFrame(() => show(true));
    showState();
  });
  stream.addEventListener("error", () => {
    showState();
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 2000); // it was refused
  });
}

// showState shows whether the data is live. The sidecar sends an event at least every five seconds.
function showState() {
  const silence = (performance.now() - came) / 1000;
  const now = came === 0 ? "connecting" : silence < 8 ? "live" : "gone";
  const words = { connecting: "connecting …", live: "live", gone: `no answer from the sidecar for ${seconds(Math.floor(silence))}: this is old` };
  attribute(state, "data-state", now);
  attribute(document.body, "data-state", now);
  text(state, words[now]);
}

function paint(theme) {
  document.documentElement.dataset.theme = theme;
  text(by("theme"), theme === "dark" ? "Light" : "Dark");
  by("theme").setAttribute("aria-label", `Switch to the ${theme === "dark" ? "light" : "dark"} theme`);
}

const preferred = matchMedia("(prefers-color-scheme: light)");
const chosen = () => localStorage.getItem("theme") ?? (preferred.matches ? "light" : "dark");
preferred.addEventListener("change", () => paint(chosen()));
by("theme").addEventListener("click", () => {
  localStorage.setItem("theme", chosen() === "dark" ? "light" : "dark");
  paint(chosen());
});
filter.addEventListener("input", () => show(false));
sort.addEventListener("change", () => show(false));
by("previous").addEventListener("click", () => turn(-most));
by("next").addEventListener("click", () => turn(most));
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !event.target.closest("input, select")) {
    filter.focus();
    event.preventDefault();
  } else if (event.key === "Escape" && event.target === filter) {
    filter.value = "";
    show(false);
  } else if (event.key === "Escape" && open) {
    const row = rows.get(open);
    if (row) choose(row);
    row?.button.focus();
  }
});
setInterval(showState, 1000);
paint(chosen());
listen();
