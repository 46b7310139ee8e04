// The page receives pictures from the sidecar and shows them.

import { attribute, keep, text } from "./dom.js";
import { bytes, percent, seconds } from "./format.js";
import { Detail } from "./detail.js";
import { Row, begun } from "./row.js";
import { Strips } from "./strips.js";

const by = (id) => document.getElementById(id);
const [list, filter, sort, state, headline] = ["pools", "filter", "sort", "state", "headline"].map(by);
const strips = new Strips(by("strips"));
const rows = []; // each shows the pool at its position in the list
const most = 25; // maximum number of rows on a page of the list
let came = 0; // when the newest picture arrived
let stream, asked, refreshing, frame;
let ordered; // the order() of the rows shown
let open = decodeURIComponent(location.hash.slice(1)), detail; // the ID of the pool whose charts are shown
let from = 0; // number of pools before the current page of the list

// order returns a string that differs for each filter, sort order and page of the list.
const order = () => [filter.value, sort.value, from].join("\n");

// query returns the parameters of the request for pictures. While the pointer or the focus is on a
// row and order() has not changed, it asks the sidecar to keep the rows in place.
function query() {
  const still = ordered === order() && (list.matches(":hover") || list.contains(document.activeElement));
  const wanted = { filter: filter.value, sort: sort.value, from, limit: most, also: open, keep: still ? rows.map((row) => row.pool.id).join() : "" };
  return new URLSearchParams(Object.entries(wanted).filter(([, value]) => value)).toString();
}

// arrange shows the pools in the given order.
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

// turn goes to the page of the list that begins by pools later, or earlier if by is negative.
function turn(by) {
  from += by;
  refresh();
  list.scrollIntoView({ block: "start" });
}

// announce sets the headline: the worst pool, what is wrong with it, and the number of pools.
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

// listen opens a stream of pictures with the pools that query selects.
function listen() {
  stream?.close();
  asked = query();
  const its = stream = new EventSource(`/api/v1/changes?${asked}`);
  its.addEventListener("picture", (event) => {
    came = performance.now();
    cancelAnimationFrame(frame); // in a hidden tab nothing is drawn, and frames would pile up
    frame = requestAnimationFrame(() => {
      if (its !== stream) return;
      if (query() === asked) show(JSON.parse(event.data));
      else listen();
    });
    showState();
  });
  its.addEventListener("error", () => {
    showState();
    if (its === stream && its.readyState === EventSource.CLOSED) setTimeout(listen, 2000); // the request was rejected
  });
}

// refresh opens another stream if the query has changed. It does so after the current event, during
// which the focus may be moving from one row to another.
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
