// Draws a dashboard: its panels at their places on Grafana's grid, with the data that Prometheus returned, in Grafana's dark colors.
const PALETTE = ["#73bf69", "#f2cc0c", "#8ab8ff", "#ff780a", "#f2495c", "#5794f2", "#b877d9", "#705da0", "#37872d", "#fade2a"];
const NAMED = { green: "#73bf69", orange: "#ff9830", red: "#f2495c" };
const CELL = 38, GAP = 8;

const scaled = (v, base, names) => {
  let i = 0;
  while (Math.abs(v) >= base && i < names.length - 1) { v /= base; i++; }
  return trim(v) + names[i];
};
const trim = v => String(+v.toPrecision(3));
const UNITS = {
  short: v => scaled(v, 1000, ["", " K", " Mil"]), none: trim,
  percentunit: v => trim(v * 100) + "%",
  bytes: v => scaled(v, 1024, [" B", " KiB", " MiB", " GiB"]),
  reqps: v => trim(v) + " req/s", ops: v => trim(v) + " ops/s", cps: v => trim(v) + " c/s",
  s: v => Math.abs(v) < 1e-12 ? "0 s" : v < 1e-6 ? trim(v * 1e9) + " ns" : v < 1e-3 ? trim(v * 1e6) + " µs" : v < 1 ? trim(v * 1e3) + " ms" : v < 120 ? trim(v) + " s" : trim(v / 60) + " min",
};
const format = (unit, v) => v == null || !isFinite(v) ? "" : UNITS[unit](v);
const colorOf = (steps, v) => NAMED[steps.filter(s => s.value == null || v >= s.value).pop().color] || steps[0].color;

function el(parent, tag, cls, text) {
  const e = document.createElement(tag);
  if (cls) e.className = cls;
  if (text != null) e.textContent = text;
  parent.append(e);
  return e;
}

function head() {
  const h = document.querySelector("header"), nav = document.querySelector("nav");
  h.textContent = DASHBOARD.title;
  el(h, "span", "range", "drawn by poolgauge's own renderer, not by Grafana");
  el(h, "span", "range", "Last " + DATA.minutes + " minutes");
  for (const v of DASHBOARD.templating.list) {
    const d = el(nav, "div");
    el(d, "b", "", v.label); el(d, "i", "", v.type === "datasource" ? "Prometheus" : "All");
  }
  for (const l of DASHBOARD.links) el(nav, "a", "", "↗ " + l.title);
}

function place(p, unitWidth, kind) {
  const d = el(document.getElementById("grid"), "div", kind), g = p.gridPos;
  d.style.left = g.x * unitWidth + "px"; d.style.top = g.y * CELL + "px";
  d.style.width = g.w * unitWidth - GAP + "px"; d.style.height = g.h * CELL - GAP + "px";
  return d;
}

const binary = Array.from({ length: 40 }, (_, i) => 2 ** i);
const axis = unit => ({ ...(unit === "bytes" ? { incrs: binary } : {}), stroke: "#9fa7b3", font: "11px Inter, Roboto, sans-serif", grid: { stroke: "#25272d", width: 1 }, ticks: { show: false },
  size: 62, values: (u, vs) => vs.map(v => format(unit, v)) });
const time = { stroke: "#9fa7b3", font: "11px Inter, Roboto, sans-serif", grid: { stroke: "#25272d", width: 1 }, ticks: { show: false }, size: 26, space: 70,
  values: (u, vs) => vs.map(v => new Date(v * 1000).toISOString().slice(11, 16)) };

function lines(box, p, series) {
  const f = p.fieldConfig.defaults, w = box.clientWidth - 12, h = box.clientHeight - 28 - 42;
  const times = DATA.times, stacked = f.custom.stacking.mode !== "none";
  let columns = series.map(s => s.values);
  if (stacked) columns = columns.map((c, i) => c.map((_, t) => columns.slice(0, i + 1).reduce((a, b) => a + (b[t] || 0), 0)));
  const order = columns.map((_, i) => i);
  if (stacked) order.reverse();
  let high = Math.max(...columns.flat().filter(v => v != null && isFinite(v)), 0) * 1.1 || 1;
  if (f.max != null) high = f.max;
  const limits = f.custom.thresholdsStyle.mode === "dashed" ? f.thresholds.steps.filter(s => s.value != null) : [];
  const u = new uPlot({
    width: w, height: h, legend: { show: false }, cursor: { show: false }, scales: { x: { time: true }, y: { range: [0, high] } },
    axes: [time, axis(f.unit)],
    series: [{}].concat(order.map(i => ({ stroke: PALETTE[i % 10], width: 1.25, dash: series[i].bound ? [8, 6] : undefined, fill: series[i].bound ? undefined : PALETTE[i % 10] + (stacked ? "59" : "14"), points: { show: false } }))),
    hooks: { draw: [u => { for (const l of limits) {
      const y = u.valToPos(l.value, "y", true);
      if (y < u.bbox.top) continue;
      u.ctx.save(); u.ctx.setLineDash([8, 6]); u.ctx.strokeStyle = NAMED[l.color] + "99"; u.ctx.lineWidth = 1; u.ctx.beginPath();
      u.ctx.moveTo(u.bbox.left, y); u.ctx.lineTo(u.bbox.left + u.bbox.width, y); u.ctx.stroke(); u.ctx.restore();
    } }] },
  }, [times].concat(order.map(i => columns[i])), box);
  u.root.style.marginLeft = "4px";
  const legend = el(box, "div", "legend");
  series.forEach((s, i) => { const e = el(legend, "span"); el(e, "i").style.background = PALETTE[i % 10]; e.append(s.name || "Value"); });
}

function stat(box, p, series) {
  const values = series[0].values.filter(v => v != null), last = values[values.length - 1], f = p.fieldConfig.defaults, color = colorOf(f.thresholds.steps, last);
  const w = box.clientWidth - 2, h = box.clientHeight * 0.42;
  const holder = el(box, "div"); holder.style.cssText = "position:absolute;left:0;bottom:0;opacity:.8";
  new uPlot({ width: w, height: h, legend: { show: false }, cursor: { show: false }, padding: [0, 0, 0, 0], axes: [{ show: false }, { show: false }],
    scales: { y: { range: (u, a, b) => [Math.min(0, a), b * 1.1 || 1] } }, series: [{}, { stroke: color, width: 1, fill: color + "30", points: { show: false } }] },
    [DATA.times, series[0].values], holder);
  const t = el(box, "div", "stat", format(f.unit, last));
  t.style.color = color; t.style.fontSize = Math.min(38, w / 5.5) + "px";
}

function heat(box, p, cells) {
  const w = box.clientWidth - 20, h = box.clientHeight - 28 - 16, left = 62, bottom = 24, unit = p.fieldConfig.defaults.unit;
  const c = el(box, "canvas"), r = devicePixelRatio; c.width = w * r; c.height = h * r; c.style.width = w + "px"; c.style.height = h + "px"; c.style.marginLeft = "8px";
  const x = c.getContext("2d"); x.scale(r, r); x.font = "11px Inter, Roboto, sans-serif"; x.fillStyle = "#9fa7b3";
  const drawn = cells.filter(b => b.low > 0), most = Math.max(...drawn.map(b => b.count));
  const lo = Math.log(Math.min(...drawn.map(b => b.low))), hi = Math.log(Math.max(...drawn.map(b => b.high)));
  const t0 = DATA.times[0], t1 = DATA.times[DATA.times.length - 1], step = DATA.times[1] - t0;
  const X = t => left + (t - t0 + step) / (t1 - t0 + step) * (w - left), Y = v => (h - bottom) * (1 - (Math.log(v) - lo) / (hi - lo));
  for (const b of drawn) {
    const k = Math.sqrt(b.count / most);
    x.fillStyle = `hsl(${34 - 14 * k}, ${70 + 25 * k}%, ${16 + 50 * k}%)`;
    x.fillRect(X(b.time - step) , Y(b.high), X(b.time) - X(b.time - step) - .6, Math.max(3, Y(b.low) - Y(b.high) - .4));
  }
  x.fillStyle = "#9fa7b3"; x.textAlign = "right";
  for (let e = Math.ceil(lo / Math.LN10); e <= hi / Math.LN10; e++) x.fillText(format(unit, 10 ** e), left - 8, Y(10 ** e) + 4);
  x.textAlign = "center";
  for (let t = Math.ceil(t0 / 120) * 120; t < t1 - 30; t += 120) x.fillText(new Date(t * 1000).toISOString().slice(11, 16), X(t), h - 6);
}

function table(box, p, results) {
  const organize = p.transformations.find(t => t.id === "organize").options, rows = new Map();
  const labels = Object.keys(organize.renameByName).filter(n => !n.startsWith("Value")).sort((a, b) => organize.indexByName[a] - organize.indexByName[b]);
  results.forEach((list, i) => list.forEach(s => {
    const key = labels.map(l => s.labels[l] || "").join("\n");
    if (!rows.has(key)) rows.set(key, { labels: s.labels, values: [] });
    rows.get(key).values[i] = s.value;
  }));
  const t = el(box, "table"), head = el(t, "tr"), titles = results.map((_, i) => organize.renameByName["Value #" + String.fromCharCode(65 + i)]);
  for (const name of labels.map(l => organize.renameByName[l]).concat(titles)) el(head, "th", "", name);
  const sorted = [...rows.values()].sort((a, b) => (b.values[0] ?? -1) - (a.values[0] ?? -1));
  const properties = Object.fromEntries(p.fieldConfig.overrides.map(o => [o.matcher.options, Object.fromEntries(o.properties.map(q => [q.id, q.value]))]));
  for (const r of sorted) {
    const tr = el(t, "tr");
    labels.forEach(l => { const td = el(tr, "td"); const linked = properties[organize.renameByName[l]]?.links; el(td, linked ? "a" : "span", "", r.labels[l] || ""); });
    titles.forEach((name, i) => {
      const q = properties[name], v = r.values[i], td = el(tr, "td");
      const color = q.thresholds && v != null ? colorOf(q.thresholds.steps, v) : "";
      if (q["custom.cellOptions"]?.type === "gauge" && v != null) {
        td.style.width = "22%";
        const bar = el(el(td, "span", "bar"), "i"); bar.style.width = Math.min(100, v * 100) + "%"; bar.style.background = color;
      }
      const s = el(td, "span", "", v == null ? "" : format(q.unit, v)); s.style.color = color;
    });
  }
}

function draw() {
  head();
  const unit = (document.getElementById("grid").clientWidth + GAP) / 24;
  let bottom = 0;
  DASHBOARD.panels.forEach((p, i) => {
    bottom = Math.max(bottom, p.gridPos.y + p.gridPos.h);
    if (p.type === "row") { place(p, unit, "row").textContent = p.title; return; }
    const box = place(p, unit, "panel"), results = DATA.panels[i];
    el(box, "h2", "", p.title);
    if (!results.some(r => r && r.length)) { el(box, "div", "none", p.fieldConfig.defaults.noValue || "No data"); return; }
    if (p.type === "table") table(box, p, results);
    else if (p.type === "heatmap") heat(box, p, results[0]);
    else if (p.type === "stat") stat(box, p, results[0]);
    else {
      const dashed = p.fieldConfig.overrides.filter(o => o.matcher.id === "byFrameRefID").map(o => o.matcher.options);
      lines(box, p, results.flatMap((list, q) => list.map(s => ({ ...s, bound: dashed.includes(p.targets[q].refId) }))));
    }
  });
  document.getElementById("grid").style.height = bottom * CELL + "px";
}
draw();
