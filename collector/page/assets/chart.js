// Charts over time, which share one cursor.

import { attribute, el, path, svg, text } from "./dom.js";
import { area } from "./row.js";
import { seconds } from "./format.js";

const height = 132, left = 46, right = 8, top = 8, bottom = 20;

// Axis is the time that all charts of a pool show, and where the cursor is.
export class Axis {
  constructor(root) {
    this.charts = [];
    this.at = null; // seconds before now; null for no cursor
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

  // set takes the time of the newest column, the length of one and how many there are.
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

// Chart draws series of { key, label, kind: line, area or none }, each a color class s0, s1 … by its place in all.
export class Chart {
  constructor(axis, title, series, format, { log = false, unit = 0 } = {}) {
    Object.assign(this, { axis, series, format, log, unit, values: {} });
    this.body = svg("g");
    this.line = svg("line", { class: "cursor", y1: top, y2: height - bottom, visibility: "hidden" });
    this.svg = svg("svg", { role: "img", "aria-label": title }, this.body, this.line);
    this.shown = series.map(() => el("b"));
    this.time = el("span");
    const legend = el("p", "legend", ...series.map((s, i) => el("span", "", el("i", s.color), `${s.label} `, this.shown[i])), this.time);
    this.root = el("figure", "chart", el("h3", "", title), legend, this.svg);
    axis.charts.push(this);
  }

  // measure reads how wide the chart is. All are measured before any is drawn: each reading after a
  // change would lay the page out again.
  measure() { this.width = Math.max(200, this.svg.clientWidth || 360); }

  x(ago) { return left + (this.width - left - right) * (1 - ago / this.axis.span); }

  timeAt(clientX) {
    const box = this.svg.getBoundingClientRect();
    const share = (clientX - box.left - left) / (box.width - left - right);
    return this.axis.span * (1 - Math.max(0, Math.min(1, share)));
  }

  // draw takes values by column, and the newest, by key.
  draw(values, newest) {
    this.values = values;
    this.newest = newest;
    attribute(this.svg, "viewBox", `0 0 ${this.width} ${height}`);
    this.body.replaceChildren();
    const scale = this.scale();
    this.grid(scale);
    for (const s of this.series) this.drawSeries(s, scale);
    this.cursor();
  }

  // scale returns where a value is, and the ticks.
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

  grid({ y, ticks }) {
    for (const v of ticks) {
      this.body.append(svg("line", { class: "grid", x1: left, x2: this.width - right, y1: y(v), y2: y(v) }));
      const label = svg("text", { x: left - 6, y: y(v) + 4, "text-anchor": "end" });
      label.textContent = this.format(v);
      this.body.append(label);
    }
    timeLabels(this);
  }

  drawSeries(s, { y }) {
    const values = this.values[s.key];
    if (!values) return;
    const points = this.points(values).map((p) => p && [this.x(p.ago), y(p.v)]);
    if (s.kind === "area") this.body.append(svg("path", { class: `shade ${s.color}`, d: area(points, height - bottom) }));
    this.body.append(svg("path", { class: `line ${s.color}`, d: path(points) }));
    const last = points.findLast((p) => p);
    if (last) this.body.append(svg("circle", { class: `single ${s.color}`, cx: last[0], cy: last[1], r: 2.5 }));
  }

  // points leaves gaps only where nothing came for half a minute or three columns.
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

  // at returns the value of a series under the cursor, or the newest.
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

// timeLabels writes how long ago below a chart.
export function timeLabels(chart) {
  for (const share of [0, 0.5, 1]) {
    const ago = chart.axis.span * share;
    const label = svg("text", { x: chart.x(ago), y: height - 5, "text-anchor": share === 0 ? "end" : share === 1 ? "start" : "middle" });
    label.textContent = share === 0 ? "now" : `−${seconds(Math.round(ago))}`;
    chart.body.append(label);
  }
}

function nice(v) {
  const power = 10 ** Math.floor(Math.log10(v));
  return power * [1, 2, 2.5, 5, 10].find((m) => m * power >= v - 1e-12);
}

// Heatmap draws how many requests waited how long.
export class Heatmap extends Chart {
  constructor(axis, title) {
    super(axis, title, [], seconds);
  }

  draw({ step, bounds, counts }) {
    attribute(this.svg, "viewBox", `0 0 ${this.width} ${height}`);
    this.body.replaceChildren();
    const rows = bounds.length + 1, room = height - top - bottom;
    const y = (row) => top + room * (1 - row / rows);
    for (let row = 0; row < rows; row += 4) {
      const label = svg("text", { x: left - 6, y: y(row) + 4, "text-anchor": "end" });
      label.textContent = seconds(bounds[row] ?? bounds.at(-1));
      this.body.append(svg("line", { class: "grid", x1: left, x2: this.width - right, y1: y(row), y2: y(row) }), label);
    }
    const most = Math.max(1, ...counts.flat());
    counts.forEach((column, i) => {
      const from = this.x(Math.min(this.axis.span, (counts.length - i) * step)), to = this.x((counts.length - 1 - i) * step);
      column.forEach((n, row) => {
        if (n === 0 || to <= left) return;
        const strength = 0.12 + 0.88 * Math.log1p(n) / Math.log1p(most);
        this.body.append(svg("rect", { class: "heat", x: from.toFixed(1), width: Math.max(1, to - from - 0.6).toFixed(1), y: y(row + 1).toFixed(1), height: (room / rows).toFixed(1), opacity: strength.toFixed(2) }));
      });
    });
    timeLabels(this);
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
