// The charts of one pool.

import { attribute, el, keep, svg, text } from "./dom.js";
import { count, percent, rate, seconds } from "./format.js";
import { Axis, Chart, Heatmap } from "./chart.js";

const split = [["onCPU", "on a CPU", "s4"], ["runQueue", "waiting for a CPU", "s2"], ["blocked", "blocked", "s5"]];

// Fact is a label and a value.
class Fact {
  constructor() {
    this.label = document.createTextNode("");
    this.value = el("b");
    this.root = el("span", "", this.label, this.value);
  }

  show([label, value]) {
    text(this.label, `${label} `);
    text(this.value, value);
  }
}

export class Detail {
  constructor(id) {
    this.id = id;
    this.factList = el("p", "facts");
    this.facts = [];
    this.holders = el("ol", "holders");
    this.holders.setAttribute("aria-label", "Oldest holders of its slots");
    this.charts = el("div", "charts");
    this.charts.tabIndex = 0;
    this.charts.setAttribute("role", "group");
    this.charts.setAttribute("aria-label", "Charts; arrow keys move the cursor");
    this.axis = new Axis(this.charts);
    this.lines = [
      new Chart(this.axis, "Slots", [
        { key: "used", label: "used", kind: "area", color: "s0" }, { key: "limit", label: "limit", color: "s1" }, { key: "pending", label: "waiting", color: "s2" },
      ], count, { unit: 1 }),
      new Chart(this.axis, "Waits", [{ key: "oldestWait", label: "oldest", color: "s3" }, { key: "waitP99", label: "p99", color: "s2" }], seconds, { log: true }),
      new Chart(this.axis, "Requests", [{ key: "rate", label: "served", kind: "area", color: "s0" }, { key: "notServed", label: "not served", color: "s3" }], rate, { unit: 0.1 }),
      new Chart(this.axis, "Use, median", [{ key: "useP50", label: "p50", kind: "area", color: "s5" }], seconds, { unit: 1e-6 }),
    ];
    this.heat = new Heatmap(this.axis, "How long requests waited");
    this.bars = split.map(([, , color]) => svg("rect", { class: color, y: 0, height: 34 }));
    this.bar = svg("svg", { viewBox: "0 0 300 34", preserveAspectRatio: "none", role: "img" }, ...this.bars);
    this.shares = split.map(() => el("b"));
    const legend = el("p", "legend", ...split.map(([, label, color], i) => el("span", "", el("i", color), `${label} `, this.shares[i])));
    this.split = el("figure", "chart split", el("h3", "", "Where the time in use goes, sampled"), this.bar, legend);
    this.charts.append(...this.lines.map((c) => c.root), this.heat.root, this.split);
    this.root = el("section", "detail", this.factList, this.holders, this.charts);
    this.root.id = `detail-${id}`;
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.charts);
  }

  close() {
    this.closed = true;
    this.resized.disconnect();
    this.root.remove();
  }

  // show shows the newest values of the pool, and loads its history.
  show(p) {
    attribute(this.root, "aria-label", `Charts of ${p.name}`);
    this.newest = { ...p, waitP99: p.wait?.p99, useP50: p.use?.p50 ?? p.meanUse };
    const facts = [
      p.verdict && ["verdict", p.verdict],
      ...(p.evidence ?? []).map((line) => ["because", line]),
      p.recommended !== undefined && ["recommended limit", count(p.recommended)],
      p.oldestUse !== undefined && ["oldest use", seconds(p.oldestUse)],
      ["idle", count(p.idle)],
      p.constructing > 0 && ["constructing", count(p.constructing)],
      p.pendingLimit !== undefined && ["waiting limit", count(p.pendingLimit)],
      ["use p95", seconds(p.use?.p95)],
      ["use p99", seconds(p.use?.p99)],
      ["failed uses", rate(p.failed)],
      p.meanWait !== undefined && ["mean wait", seconds(p.meanWait)],
      p.longestWait && ["longest wait", `${seconds(p.longestWait.wait)}, trace ${p.longestWait.trace}`],
      p.instance && ["instance", p.instance],
    ].filter(Boolean);
    keep(this.factList, this.facts, facts.length, () => new Fact());
    facts.forEach((fact, i) => this.facts[i].show(fact));
    this.drawHolders(p.holders ?? []);
    this.drawSplit(p);
    this.load();
  }

  // drawHolders lists the oldest uses, with the calls that led to each, the innermost first.
  drawHolders(all) {
    this.holders.hidden = all.length === 0;
    this.holders.replaceChildren(...all.map((h) => el("li", "", "held for ", el("b", "", seconds(h.age)),
      ` by ${(h.calls ?? ["an unknown caller"]).join(" < ")}`, h.trace ? el("span", "trace", `trace ${h.trace}`) : "")));
  }

  drawSplit(p) {
    this.split.hidden = p.onCPU === undefined;
    let x = 0;
    split.forEach(([key], i) => {
      const share = p[key] ?? 0;
      attribute(this.bars[i], "x", x);
      attribute(this.bars[i], "width", 300 * share);
      x += 300 * share;
      text(this.shares[i], percent(p[key]));
    });
    attribute(this.bar, "aria-label", split.map(([key, label]) => `${label} ${percent(p[key])}`).join(", "));
  }

  // load fetches the history if it may have a new column.
  async load() {
    if (this.loading || performance.now() - this.loaded < 1000 * this.history?.step) return;
    this.loading = true;
    this.loaded = performance.now();
    try {
      const answer = await fetch(`/api/v1/pools/${encodeURIComponent(this.id)}/history`, { signal: AbortSignal.timeout(5000) });
      if (answer.ok && !this.closed) {
        this.history = await answer.json();
        this.draw();
      }
    } catch {
      // the page already shows a lost connection, and the next picture tries again
    } finally {
      this.loading = false;
    }
  }

  draw() {
    const h = this.history;
    if (!h || this.closed) return;
    this.axis.set(h.used.length, h.step);
    for (const c of this.axis.charts) c.measure();
    for (const c of this.lines) c.draw(h, this.newest);
    this.heat.draw(h.waits);
  }
}
