// Charts over time, which share one cursor.

import { attribute, el, keep, path, svg, text } from "./dom.js";
import { area } from "./row.js";
import { seconds } from "./format.js";

const height = 132, left = 46, right = 8, top = 8, bottom = 20;

// Axis is the time axis that all charts of a pool share, with the cursor.
export class Axis {
  constructor(root) {
    this.charts = [];
    this.at = null; // position of the cursor in seconds before now; null for no cursor
    root.addEventListener("pointermove", (event) => {
      const chart = this.charts.find((c) => c.root.contains(event.target));
      if (chart) this.move(chart.timeAt(event.clientX));
    });
    root.addEventListener("pointerleave", () => this.move(null));
    root.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: 1, ArrowRight: -1, PageUp: 10, PageDown: -10 };
      if (event.key === "Escape" && this.at !== null) {
        this.move(null);
        event.stopPropagation();
      } else if (steps[event.key]) {
        this.move(Math.max(0, Math.min(this.span, (this.at ?? 0) + steps[event.key] * this.step)));
        event.preventDefault();
      }
    });
    root.addEventListener("blur", () => this.move(null));
  }

  // set sets the number of columns and the length of a column in seconds.
  set(columns, step) {
    this.step = step;
    this.columns = columns;
    this.span = Math.min(900, Math.max(60, columns * step));
  }

  move(at) {
    if (!this.span) return; // there is no history yet
    this.at = at;
    for (const c of this.charts) c.cursor();
  }
}

// Chart draws series, each { key, label, kind, color }. The kind is "area", or undefined for a line without
// an area below it. The color is a class, s0 to s5.
export class Chart {
  constructor(axis, title, series, format, { log = false, unit = 0 } = {}) {
    Object.assign(this, { axis, series, format, log, unit, values: {} });
    this.grid = svg("path", { class: "grid" });
    this.body = svg("g");
    this.labels = [];
    this.labelGroup = svg("g");
    this.line = svg("line", { class: "cursor", y1: top, y2: height - bottom, visibility: "hidden" });
    this.svg = svg("svg", { role: "img", "aria-label": title }, this.grid, this.body, this.labelGroup, this.line);
    this.curves = series.map(({ color }) => new Curve(color));
    this.body.append(...this.curves.flatMap((c) => c.roots));
    this.shown = series.map(() => el("b"));
    this.time = el("span");
    const legend = el("p", "legend", ...series.map((s, i) => el("span", "", el("i", s.color), `${s.label} `, this.shown[i])), this.time);
    this.root = el("figure", "chart", el("h3", "", title), legend, this.svg);
    axis.charts.push(this);
  }

  // measure reads the width of the chart. All charts are measured before any is drawn, because reading
  // a width after a change makes the browser lay out the page again.
  measure() { this.width = Math.max(200, this.svg.clientWidth || 360); }

  x(ago) { return left + (this.width - left - right) * (1 - ago / this.axis.span); }

  timeAt(clientX) {
    const box = this.svg.getBoundingClientRect();
    const share = (clientX - box.left - left) / (box.width - left - right);
    return this.axis.span * (1 - Math.max(0, Math.min(1, share)));
  }

  // draw draws values, which has a list of values by column for each key, and newest, a value for each key.
  draw(values, newest) {
    this.values = values;
    this.newest = newest;
    attribute(this.svg, "viewBox", `0 0 ${this.width} ${height}`);
    const scale = this.scale();
    this.drawGrid(scale.ticks.map((v) => [scale.y(v), this.format(v)]));
    this.series.forEach((s, i) => this.curves[i].draw(this.points(values[s.key] ?? []).map((p) => p && [this.x(p.ago), scale.y(p.v)]), s.kind));
    this.cursor();
  }

  // scale returns the y axis: y, which converts a value to a coordinate, and the ticks.
  scale() {
    const all = this.series.flatMap((s) => this.values[s.key] ?? []).filter((v) => v !== null);
    const most = Math.max(...all, this.unit || 1e-9);
    const room = height - top - bottom;
    if (!this.log) {
      const step = nice(most / 3);
      const end = Math.ceil(most / step - 1e-9) * step;
      return { y: (v) => top + room * (1 - v / end), ticks: Array.from({ length: Math.round(end / step) + 1 }, (_, i) => i * step) };
    }
    const positive = all.filter((v) => v > 0);
    const low = Math.floor(Math.log10(Math.max(1e-7, Math.min(1e-3, ...positive)))), high = Math.max(low + 2, Math.ceil(Math.log10(Math.max(1e-2, most))));
    const ticks = [];
    for (let i = low; i <= high; i += Math.ceil((high - low) / 4)) ticks.push(10 ** i);
    return { y: (v) => top + room * (1 - Math.max(0, (Math.log10(Math.max(v, 1e-9)) - low) / (high - low))), ticks };
  }

  // drawGrid draws the ticks of the y axis, each [y, label], and the labels of the time axis.
  drawGrid(ticks) {
    attribute(this.grid, "d", ticks.map(([y]) => `M${left} ${y.toFixed(1)}H${this.width - right}`).join(""));
    const labels = ticks.map(([y, words]) => [left - 6, y + 4, "end", words]);
    for (const share of [0, 0.5, 1]) {
      const ago = this.axis.span * share;
      labels.push([this.x(ago), height - 5, share === 0 ? "end" : share === 1 ? "start" : "middle", share === 0 ? "now" : `−${seconds(Math.round(ago))}`]);
    }
    keep(this.labelGroup, this.labels, labels.length, () => ({ root: svg("text") }));
    labels.forEach(([x, y, anchor, words], i) => {
      const { root } = this.labels[i];
      for (const [name, value] of [["x", x], ["y", y], ["text-anchor", anchor]]) attribute(root, name, value);
      text(root, words);
    });
  }

  // points returns the points of a curve. It leaves a gap only if there was no value for half a minute
  // and for three columns.
  points(values) {
    const { step, columns } = this.axis;
    const most = Math.max(3, Math.ceil(31 / step));
    const all = [];
    let last = -1;
    values.forEach((v, i) => {
      if (v === null) return;
      if (last >= 0 && i - last > most) all.push(null);
      all.push({ ago: (columns - 1 - i) * step, v });
      last = i;
    });
    return all;
  }

  // at returns the value of a series at the cursor, or the newest value if there is no cursor.
  at(key) {
    if (this.axis.at === null) return this.newest?.[key];
    const values = this.values[key] ?? [];
    const { step, columns } = this.axis;
    let i = Math.round(columns - 1 - this.axis.at / step);
    for (let back = 0; back <= Math.max(3, Math.ceil(31 / step)); back++, i--) if (values[i] !== null && values[i] !== undefined) return values[i];
    return undefined;
  }

  cursor() {
    const at = this.axis.at;
    this.line.setAttribute("visibility", at === null ? "hidden" : "visible");
    if (at !== null) for (const end of ["x1", "x2"]) this.line.setAttribute(end, this.x(at));
    this.series.forEach((s, i) => text(this.shown[i], this.format(this.at(s.key))));
    text(this.time, at === null ? "" : `${seconds(Math.round(at))} ago`);
  }
}

// Curve is the line of a series, the shaded area below it and a dot at its newest value.
class Curve {
  constructor(color) {
    this.shade = svg("path", { class: `shade ${color}` });
    this.line = svg("path", { class: `line ${color}` });
    this.dot = svg("circle", { class: `single ${color}`, r: 2.5, visibility: "hidden" });
    this.roots = [this.shade, this.line, this.dot];
  }

  draw(points, kind) {
    attribute(this.shade, "d", kind === "area" ? area(points, height - bottom) : undefined);
    attribute(this.line, "d", path(points));
    const last = points.findLast((p) => p);
    attribute(this.dot, "cx", last?.[0]);
    attribute(this.dot, "cy", last?.[1]);
    attribute(this.dot, "visibility", last ? undefined : "hidden");
  }
}

function nice(v) {
  const power = 10 ** Math.floor(Math.log10(v));
  return power * [1, 2, 2.5, 5, 10].find((m) => m * power >= v - 1e-12);
}

const shades = 8; // number of shades in a heatmap

// Heatmap draws how many requests waited for how long.
export class Heatmap extends Chart {
  constructor(axis, title) {
    super(axis, title, [], seconds);
    this.cells = Array.from({ length: shades }, (_, i) => svg("path", { class: "heat", opacity: (i + 1) / shades }));
    this.body.append(...this.cells);
  }

  draw({ step, bounds, counts }) {
    attribute(this.svg, "viewBox", `0 0 ${this.width} ${height}`);
    const rows = bounds.length + 1, room = height - top - bottom;
    const y = (row) => top + room * (1 - row / rows);
    const ticks = [];
    for (let row = 0; row < rows; row += 4) ticks.push([y(row), seconds(bounds[row] ?? bounds.at(-1))]);
    this.drawGrid(ticks);
    const most = Math.max(1, ...counts.flat());
    const cells = this.cells.map(() => "");
    counts.forEach((column, i) => {
      const from = this.x(Math.min(this.axis.span, (counts.length - i) * step)), to = this.x((counts.length - 1 - i) * step);
      column.forEach((n, row) => {
        if (n === 0 || to <= left) return;
        const wide = Math.max(1, to - from - 0.6).toFixed(1);
        cells[Math.ceil(shades * Math.log1p(n) / Math.log1p(most)) - 1] += `M${from.toFixed(1)} ${y(row + 1).toFixed(1)}h${wide}v${(room / rows).toFixed(1)}h-${wide}z`;
      });
    });
    cells.forEach((d, i) => attribute(this.cells[i], "d", d));
    this.counts = counts;
    this.step = step;
    this.cursor();
  }

  cursor() {
    const at = this.axis.at;
    this.line.setAttribute("visibility", at === null ? "hidden" : "visible");
    if (at !== null) for (const end of ["x1", "x2"]) this.line.setAttribute(end, this.x(at));
    if (!this.counts) return;
    const column = this.counts[Math.max(0, this.counts.length - 1 - Math.floor((at ?? 0) / this.step))] ?? [];
    const total = column.reduce((a, b) => a + b, 0);
    text(this.time, `${total} requests in ${seconds(this.step)}${at === null ? "" : `, ${seconds(Math.round(at))} ago`}`);
  }
}
