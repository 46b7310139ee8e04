// The charts of one pool.

import { attribute, el, svg, text } from "./dom.js";
import { count, percent, rate, seconds } from "./format.js";
import { Axis, Chart, Heatmap } from "./chart.js";

const split = [["onCPU", "on a CPU", "s4"], ["runQueue", "waiting for a CPU", "s2"], ["blocked", "blocked", "s5"]];

export class Detail {
  constructor(id) {
    this.id = id;
    this.facts = el("p", "facts");
    this.holders = el("ol", "holders");
    this.holders.setAttribute("aria-label", "Who holds its slots");
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
    this.bar = svg("svg", { viewBox: "0 0 300 34", preserveAspectRatio: "none", role: "img" });
    this.shares = split.map(() => el("b"));
    const legend = el("p", "legend", ...split.map(([, label, color], i) => el("span", "", el("i", color), `${label} `, this.shares[i])));
    this.split = el("figure", "chart split", el("h3", "", "Where the time in use goes, sampled"), this.bar, legend);
    this.charts.append(...this.lines.map((c) => c.root), this.heat.root, this.split);
    this.root = el("section", "detail", this.facts, this.holders, this.charts);
    this.root.id = `detail-${id}`;
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.charts);
  }

  close() {
    this.closed = true;
    this.resized.disconnect();
    this.root.remove();
  }

  // show takes what is new of the pool, and asks for its history.
  show(p) {
    attribute(this.root, "aria-label", `Charts of ${p.name}`);
    this.newest = { ...p, waitP99: p.wait?.p99, useP50: p.use?.p50 ?? p.meanUse };
    this.facts.replaceChildren();
    const fact = (label, value) => this.facts.append(el("span", "", `${label} `, el("b", "", value)));
    if (p.verdict) fact("verdict", p.verdict);
    for (const line of p.evidence ?? []) fact("because", line);
    if (p.recommended !== undefined) fact("recommended limit", count(p.recommended));
    if (p.oldestUse !== undefined) fact("oldest use", seconds(p.oldestUse));
    fact("idle", count(p.idle));
    if (p.constructing > 0) fact("constructing", count(p.constructing));
    if (p.pendingLimit !== undefined) fact("may wait", count(p.pendingLimit));
    fact("use p95", seconds(p.use?.p95));
    fact("use p99", seconds(p.use?.p99));
    fact("failed uses", rate(p.failed));
    if (p.meanWait !== undefined) fact("mean wait", seconds(p.meanWait));
    if (p.longestWait) fact("longest wait", `${seconds(p.longestWait.wait)}, trace ${p.longestWait.trace}`);
    if (p.instance) fact("instance", p.instance);
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
    this.bar.replaceChildren();
    let x = 0;
    split.forEach(([key, , color], i) => {
      const share = p[key] ?? 0;
      this.bar.append(svg("rect", { class: color, x, y: 0, width: 300 * share, height: 34 }));
      x += 300 * share;
      text(this.shares[i], percent(p[key]));
    });
    attribute(this.bar, "aria-label", split.map(([key, label]) => `${label} ${percent(p[key])}`).join(", "));
  }

  async load() {
    if (this.loading) return;
    this.loading = true;
    try {
      const answer = await fetch(`/api/v1/pools/${encodeURIComponent(this.id)}/history`, { signal: AbortSignal.timeout(5000) });
      if (answer.ok && !this.closed) {
        this.history = await answer.json();
        this.draw();
      }
    } catch {
      // the stream says so, and the next picture asks again
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
