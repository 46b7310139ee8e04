// One pool in the list.

import { attribute, el, path, svg, text } from "./dom.js";
import { absent, count, percent, rate, seconds } from "./format.js";

// Shapes show the level to viewers who cannot distinguish the colors.
const shapes = {
  trouble: "M6 .5 12 11.5H0Z",
  warning: "M6 0 12 6 6 12 0 6Z",
  ok: "M6 1a5 5 0 1 0 .01 0Z",
  silent: "M6 1a5 5 0 1 0 .01 0ZM6 3a3 3 0 1 1-.01 0Z",
};
const levels = { trouble: "in trouble", warning: "warning", ok: "ok", silent: "silent" };

const maxBlocks = 32; // maximum number of slots that are drawn individually
const width = 200;

const box = (x, wide) => `M${x.toFixed(1)} 0h${wide.toFixed(1)}v18H${x.toFixed(1)}z`;

function cell(name, label, ...values) {
  const value = el("span", "value", ...values);
  return { root: el("div", `cell ${name}`, el("span", "label", label), value), value };
}

export class Row {
  constructor(chosen) {
    this.shape = svg("path", { "fill-rule": "evenodd" });
    this.name = el("span");
    this.level = el("span", "hidden");
    this.button = el("button", "", svg("svg", { viewBox: "0 0 12 12", "aria-hidden": "true" }, this.shape), this.name, this.level);
    this.button.type = "button";
    this.button.setAttribute("aria-expanded", "false");
    this.button.addEventListener("click", () => chosen(this.pool.id));
    this.about = el("small");
    this.slot = svg("path", { class: "slot" });
    this.fill = svg("path", { class: "fill" });
    this.gauge = svg("svg", { viewBox: `0 0 ${width} 18`, preserveAspectRatio: "none", role: "img" }, this.slot, this.fill);
    this.used = el("b");
    this.waiting = el("span", "waiting");
    const slots = el("div", "slots", this.gauge, el("p", "", this.used, this.waiting));
    this.oldest = cell("oldest", "oldest wait");
    this.quantiles = [el("span"), el("span"), el("span")];
    this.waits = cell("waits", "wait p50 · p95 · p99", ...this.quantiles);
    this.use = cell("use", "use p50");
    this.rate = cell("rate", "rate");
    this.lost = cell("lost", "not served");
    this.area = svg("path", { class: "area" });
    this.edge = svg("path", { class: "edge", "vector-effect": "non-scaling-stroke" });
    this.wait = svg("path", { class: "wait", "vector-effect": "non-scaling-stroke" });
    const full = svg("path", { class: "full", d: "M0 2H240", "vector-effect": "non-scaling-stroke" });
    this.chart = svg("svg", { viewBox: "0 0 240 42", preserveAspectRatio: "none", role: "img" }, this.area, full, this.edge, this.wait);
    this.verdict = el("p", "verdict");
    const h2 = el("h2", "name", this.button, this.about);
    this.row = el("div", "row", h2, slots, this.oldest.root, this.waits.root, this.use.root, this.rate.root, this.lost.root,
      el("div", "spark", this.chart), this.verdict);
    this.root = el("li", "pool", this.row);
    this.root.addEventListener("contentvisibilityautostatechange", ({ skipped }) => {
      this.skipped = skipped;
      if (!skipped) this.draw();
    });
    this.row.addEventListener("click", (event) => {
      if (!event.target.closest("button") && !getSelection().toString()) chosen(this.pool.id);
    });
  }

  // show shows the pool p, and detail if the pool is open. The sparkline begins at the column first.
  show(p, first, detail) {
    Object.assign(this, { pool: p, first });
    attribute(this.root, "data-level", p.level);
    attribute(this.shape, "d", shapes[p.level] ?? shapes.ok);
    text(this.name, p.name);
    attribute(this.name, "title", p.name);
    text(this.level, `, ${levels[p.level] ?? p.level}`);
    text(this.about, [p.kind, p.service].filter(Boolean).join(" · "));
    text(this.used, p.limit > 0 ? `${count(p.used)} of ${count(p.limit)} used` : `${count(p.used)} used, no limit`);
    text(this.waiting, p.pending > 0 ? `${count(p.pending)} waiting` : "");
    attribute(this.gauge, "aria-label", filled(p) === undefined ? "no limit" : `${percent(filled(p))} used`);
    this.value(this.oldest.value, seconds(p.oldestWait));
    for (const [i, of] of ["p50", "p95", "p99"].entries()) text(this.quantiles[i], seconds(p.wait?.[of]));
    attribute(this.waits.value, "data-absent", p.wait ? undefined : "");
    this.value(this.use.value, seconds(p.use?.p50 ?? p.meanUse));
    this.value(this.rate.value, rate(p.rate));
    this.value(this.lost.value, rate(p.notServed));
    attribute(this.lost.value, "data-zero", p.notServed === 0 ? "" : undefined);
    attribute(this.chart, "aria-label", `fill now ${percent(filled(p))}, longest wait ${seconds(Math.max(...p.spark.wait.slice(first).map((v) => v ?? 0)))}`);
    if (!this.skipped) this.draw();
    const size = p.recommended === undefined ? "" : `recommended limit ${count(p.recommended)}`;
    const why = [p.verdict, p.reason, size].filter(Boolean).join(" · ");
    text(this.verdict, why);
    this.verdict.hidden = !why;
    attribute(this.button, "aria-expanded", Boolean(detail));
    attribute(this.button, "aria-controls", detail?.root.id);
    if (!detail) return;
    if (detail.root.parentNode !== this.root) this.root.append(detail.root);
    detail.show(p);
  }

  value(e, shown) {
    text(e, shown);
    attribute(e, "data-absent", shown === absent ? "" : undefined);
  }

  // draw draws the gauge and the sparkline, which a row that is out of view does not need.
  draw() {
    this.drawSlots(this.pool);
    this.drawSpark(this.pool, this.first);
  }

  drawSlots(p) {
    const blocks = p.limit > 0 && p.limit <= maxBlocks ? Math.round(p.limit) : 1;
    const gap = blocks > 1 ? Math.min(3, width / blocks / 4) : 0;
    const one = (width + gap) / blocks - gap;
    let ground = "", bars = "";
    for (let i = 0; i < blocks; i++) {
      const part = blocks > 1 ? Math.max(0, Math.min(1, (p.used ?? 0) - i)) : Math.min(1, filled(p) ?? 0);
      ground += box(i * (one + gap), one);
      if (part > 0) bars += box(i * (one + gap), part * one);
    }
    attribute(this.slot, "d", ground);
    attribute(this.fill, "d", bars);
  }

  // drawSpark draws the fill as an area up to the full mark, and the wait as a line on a scale from 100 µs to 10 s.
  drawSpark(p, first) {
    const fills = p.spark.fill.slice(first), waits = p.spark.wait.slice(first);
    const step = 240 / fills.length;
    const most = p.limit > 0 ? 1 : Math.max(1, ...fills.map((v) => v ?? 0));
    const y = (v) => 40 - 38 * Math.min(1, v / most);
    const line = bridged(fills).map((v, i) => v === null ? null : [(i + 0.5) * step, y(v)]);
    attribute(this.edge, "d", path(line));
    attribute(this.area, "d", area(line, 40));
    const height = (v) => 40 - 38 * Math.max(0, Math.min(1, Math.log10(v / 1e-4) / 5));
    attribute(this.wait, "d", path(bridged(waits).map((v, i) => v === null ? null : [(i + 0.5) * step, height(v)])));
  }
}

// filled returns the share of a pool's slots that are in use.
const filled = (p) => p.limit > 0 && p.used !== undefined ? p.used / p.limit : undefined;

// begun returns the first column to show of all sparklines. It is the column where the earliest of
// them begins, but early enough to show at least a third of the columns.
export function begun(sparks) {
  const firsts = sparks.map((values) => values.findIndex((v) => v !== null)).filter((i) => i >= 0);
  return Math.min(...firsts, Math.floor((sparks[0]?.length ?? 0) * 2 / 3));
}

// bridged fills the gap between two values that are at most `most` columns apart with the first of them. Such
// gaps are between the exports of an app.
export function bridged(values, most = 3) {
  const all = values.slice();
  let last = -1;
  for (let i = 0; i < all.length; i++) {
    if (all[i] === null) continue;
    if (last >= 0 && i - last <= most) for (let j = last + 1; j < i; j++) all[j] = all[last];
    last = i;
  }
  return all;
}

// area returns the d attribute of the area between a line and the y coordinate ground.
export function area(points, ground) {
  let d = "", run = [];
  const close = () => {
    if (run.length > 1) d += `${path([[run[0][0], ground], ...run, [run.at(-1)[0], ground]])}Z`;
    run = [];
  };
  for (const p of points) {
    if (p) run.push(p);
    else close();
  }
  close();
  return d;
}
