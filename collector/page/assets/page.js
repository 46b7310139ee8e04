// The page: it takes pictures from the sidecar, and shows them.

import { attribute, keep, text } from "./dom.js";
import { bytes, percent, seconds } from "./format.js";
import { Detail } from "./detail.js";
import { Row, begun } from "./row.js";
import { Strips } from "./strips.js";

const by = (id) => document.getElementById(id);
const [list, filter, sort, state, headline] = ["pools", "filter", "sort", "state", "headline"].map(by);
const strips = new Strips(by("strips"));
const rows = []; // each shows whichever pool has its place
const most = 25; // rows on the page; the others are on the next ones
let came = 0; // when the newest picture came
let stream, asked, refreshing, frame;
let ordered; // the order of the rows that are shown
let open = decodeURIComponent(location.hash.slice(1)), detail; // the pool whose charts are shown
let from = 0; // pools before the page

// order returns which rows the page shows, and in which order.
const order = () => [filter.value, sort.value, from].join("\n");

// query returns what the page asks for. While the pointer or the focus is on a row, the rows of the
// same order stay where they are.
function query() {
  const still = ordered === order() && (list.matches(":hover") || list.contains(document.activeElement));
  const wanted = { filter: filter.value, sort: sort.value, from, limit: most, also: open, keep: still ? rows.map((row) => row.pool.id).join() : "" };
  return new URLSearchParams(Object.entries(wanted).filter(([, value]) => value)).toString();
}

// arrange shows the listed pools, in their order.
function arrange({ pools, course, step }) {
  keep(list, rows, pools.length, () => new Row(choose));
  const first = begun(pools.map((p) => p.spark.fill));
  text(by("span"), `fill and wait, ${seconds(Math.round((course.cpu.length - first) * step))}`);
  if (open !== detail?.id) {
    detail?.close();
    detail = open ? new Detail(open) : undefined;
  }
  if (!pools.some((p) => p.id === open)) detail?.root.remove();
  pools.forEach((p, i) => rows[i].show(p, first, p.id === open ? detail : undefined));
}

// show shows a picture.
function show(picture) {
  const { list: of, memory } = picture;
  arrange(picture);
  from = of.from;
  ordered = order();
  by("pages").hidden = of.matching <= most;
  text(by("range"), `${from + 1} to ${Math.min(from + most, of.matching)} of ${of.matching}`);
  by("previous").disabled = from === 0;
  by("next").disabled = from + most >= of.matching;
  by("empty").hidden = of.pools > 0;
  strips.show(picture);
  text(by("service"), picture.service ?? "");
  text(by("memory"), memory.refused > 0 ? `the live picture is full: ${percent(memory.used / memory.limit)} of ${bytes(memory.limit)}` : "");
  announce(of);
  refresh();
}

// turn goes to another page of the list.
function turn(by) {
  from += by;
  refresh();
  list.scrollIntoView({ block: "start" });
}

// announce writes the headline: the worst pool and why.
function announce({ pools, trouble, warning, silent, matching, worst }) {
  const rest = [`${pools} ${pools === 1 ? "pool" : "pools"}`];
  if (trouble) rest.push(`${trouble} in trouble`);
  if (warning) rest.push(`${warning} to watch`);
  if (silent) rest.push(`${silent} silent`);
  if (matching < pools) rest.push(`${pools - matching} filtered out`);
  let title = "No pool is in trouble";
  if (pools === 0) title = "Waiting for the first points";
  else if (worst) title = `${worst.name}: ${[worst.verdict, worst.reason].filter(Boolean).join("; ")}`;
  attribute(headline, "data-level", worst?.level ?? "ok");
  text(headline.firstChild, title);
  text(headline.lastChild, pools ? rest.join(" · ") : "");
}

// choose opens or closes the charts of a pool.
function choose(id) {
  open = id === open ? "" : id;
  history.replaceState(null, "", open ? `#${encodeURIComponent(open)}` : location.pathname);
  refresh();
}

// listen takes pictures from the sidecar, each with the pools that are asked for.
function listen() {
  stream?.close();
  asked = query();
  const its = stream = new EventSource(`/api/v1/changes?${asked}`);
  its.addEventListener("picture", (event) => {
    came = performance.now();
    cancelAnimationFrame(frame); // in a hidden tab no picture is drawn, and they would pile up
    frame = requestAnimationFrame(() => {
      if (its !== stream) return;
      if (query() === asked) show(JSON.parse(event.data));
      else listen();
    });
    showState();
  });
  its.addEventListener("error", () => {
    showState();
    if (its === stream && its.readyState === EventSource.CLOSED) setTimeout(listen, 2000); // it was refused
  });
}

// refresh asks for other pools, if others are to be shown. The focus may be between two rows.
function refresh() {
  clearTimeout(refreshing);
  refreshing = setTimeout(() => {
    if (query() !== asked) listen();
  });
}

// showState shows whether the data is live. The sidecar sends an event at least every five seconds.
function showState() {
  const silence = (performance.now() - came) / 1000;
  const now = came === 0 ? "connecting" : silence < 8 ? "live" : "gone";
  const words = { connecting: "connecting …", live: "live", gone: `no response from the sidecar for ${seconds(Math.floor(silence))}: this data is old` };
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
filter.addEventListener("input", refresh);
sort.addEventListener("change", refresh);
for (const event of ["mouseenter", "mouseleave", "focusin", "focusout"]) list.addEventListener(event, refresh);
by("previous").addEventListener("click", () => turn(-most));
by("next").addEventListener("click", () => turn(most));
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !event.target.closest("input, select")) {
    filter.focus();
    event.preventDefault();
  } else if (event.key === "Escape" && event.target === filter) {
    filter.value = "";
    refresh();
  } else if (event.key === "Escape" && open) {
    const row = rows.find((one) => one.pool.id === open);
    choose(open);
    row?.button.focus();
  }
});
setInterval(showState, 1000);
paint(chosen());
listen();
