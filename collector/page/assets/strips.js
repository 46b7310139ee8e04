// The machine, the probes and the pipeline, in a strip each.

import { area, begun, bridged } from "./row.js";
import { attribute, el, keep, path, svg, text } from "./dom.js";
import { bytes, count, percent, rate, seconds } from "./format.js";

const known = (v) => v !== undefined && v !== null;

// level returns the level of v, given the thresholds of the levels warning and trouble.
const level = (v, warning, trouble) => v >= trouble ? "trouble" : v >= warning ? "warning" : undefined;

// A picture is two paths, each [class, d].
const box = (wide) => `M0 5h${wide.toFixed(1)}v8H0z`;
const bar = (share, color = "ok") => [["slot", box(100)], [`fill ${color}`, box(100 * Math.max(0, Math.min(1, share)))]];

function spark(all) {
  const values = all.slice(begun([all]));
  const points = bridged(values).map((v, i) => v === null ? null : [i * 100 / (values.length - 1), 17 - 16 * Math.min(1, v)]);
  return [["area", area(points, 17)], ["edge", path(points)]];
}

// Line is [label, value, level, picture].
class Line {
  constructor() {
    this.label = el("dt");
    this.value = el("b");
    this.paths = [svg("path"), svg("path", { "vector-effect": "non-scaling-stroke" })];
    this.picture = svg("svg", { viewBox: "0 0 100 18", preserveAspectRatio: "none", "aria-hidden": "true" }, ...this.paths);
    this.root = el("div", "", this.label, el("dd", "", this.picture, this.value));
  }

  show([label, value, color, picture]) {
    text(this.label, label);
    text(this.value, value);
    attribute(this.value, "data-level", color);
    attribute(this.picture, "display", picture ? undefined : "none");
    for (const [i, [name, d]] of (picture ?? []).entries()) {
      attribute(this.paths[i], "class", name);
      attribute(this.paths[i], "d", d);
    }
  }
}

// Strip is a heading and lines.
class Strip {
  constructor() {
    this.title = el("h2");
    this.list = el("dl");
    this.lines = [];
    this.root = el("section", "strip", this.title, this.list);
  }

  show(title, lines) {
    text(this.title, title);
    attribute(this.title, "title", title);
    const all = lines.filter(Boolean);
    keep(this.list, this.lines, all.length, () => new Line());
    all.forEach((line, i) => this.lines[i].show(line));
    this.root.hidden = all.length === 0;
  }
}

function pressure(p) {
  const all = [["CPU", p?.cpu], ["memory", p?.memory], ["I/O", p?.io]].filter(([, v]) => known(v));
  if (all.length === 0) return undefined;
  const worst = all.reduce((a, b) => b[1] > a[1] ? b : a);
  return [worst[1] < 0.005 ? "pressure" : `pressure, ${worst[0]}`, percent(worst[1]), level(worst[1], 0.2, 0.5)];
}

function host({ host: h, course }) {
  const memory = known(h.memoryUsed) && h.memoryLimit > 0 ? h.memoryUsed / h.memoryLimit : undefined;
  const stalls = pressure(h.pressure);
  return [
    h.verdict && ["verdict", h.verdict, "trouble"],
    known(h.cpu) && [`CPU of ${count(h.cpus)}`, percent(h.cpu), level(h.cpu, 0.85, 0.97), spark(course.cpu)],
    h.steal > 0.005 && ["steal", percent(h.steal), level(h.steal, 0.05, 0.1)],
    known(memory) && ["memory", `${percent(memory)} of ${bytes(h.memoryLimit)}`, level(memory, 0.9, 0.97), bar(memory, level(memory, 0.9, 0.97))],
    stalls && [...stalls, spark(course.pressure)],
    known(h.load) && ["load", h.load.toFixed(2)],
  ];
}

function container(c, course) {
  const memory = c.memoryLimit > 0 ? c.memory / c.memoryLimit : undefined;
  return [
    known(c.cpu) && ["CPU", known(c.cpuLimit) ? `${c.cpu.toFixed(2)} of ${count(c.cpuLimit)}` : `${c.cpu.toFixed(2)}, no quota`, undefined, known(c.cpuLimit) && bar(c.cpu / c.cpuLimit)],
    known(c.throttled) && ["throttled", percent(c.throttled), level(c.throttled, 0.05, 0.1), spark(course.throttled)],
    known(c.memory) && ["memory", known(memory) ? `${bytes(c.memory)} of ${bytes(c.memoryLimit)}` : bytes(c.memory), level(memory, 0.85, 0.95), known(memory) && bar(memory, level(memory, 0.85, 0.95))],
    pressure(c.pressure),
    c.oomKills > 0 && ["OOM kills", count(c.oomKills), "trouble"],
  ];
}

function probes(all) {
  return all.flatMap((p) => {
    if (p.name === "cpu") {
      return [
        known(p.stretch) && ["CPU stretch", `${p.stretch.toFixed(2)} ×`, level(p.stretch, 1.5, 3)],
        known(p.runDelay) && ["run delay", seconds(p.runDelay), level(p.runDelay, 0.005, 0.02)],
        known(p.parallelism) && ["parallelism", `${p.parallelism.toFixed(2)} of ${count(p.requested)}`, level(p.requested / p.parallelism, 1.5, 3)],
      ];
    }
    const name = p.name === "disk" ? "disk sync" : `${p.name} ${p.target}`;
    if (p.failed) return [[name, `failed: ${p.failed}`, "trouble"]];
    const phase = p.phases?.find((one) => one.name === (p.name === "disk" ? "sync" : "total")) ?? p.phases?.at(-1);
    return [phase && [name, seconds(phase.seconds), p.name === "disk" ? level(phase.seconds, 0.05, 0.1) : undefined]];
  });
}

function pipeline({ pipeline: p, memory: m }) {
  const rows = p.lanes.flatMap((lane) => [
    [`${lane.name} sent`, rate(lane.sent ?? lane.accepted), lane.available === 0 ? "trouble" : undefined],
    lane.available === 0 && [`${lane.name}`, "upstream is not accepting", "trouble"],
    lane.queued > 0 && [`${lane.name} queued`, `${count(lane.queued)}, ${seconds(lane.oldest)} old`, level(lane.oldest, 30, 120)],
    ...[["dropped", lane.dropped], ["rejected", lane.rejected], ["refused", lane.refused]].map(([what, v]) => v > 0 && [`${lane.name} ${what}`, rate(v), "trouble"]),
  ]);
  const queue = p.queueLimit > 0 ? (p.queueUsed ?? 0) / p.queueLimit : undefined;
  return [
    !p.upstream && ["upstream", "none: shown here only"],
    ...(p.upstream ? rows : []),
    p.upstream && known(queue) && ["queue", p.durable === 0 ? "storage is failing" : percent(queue), p.durable === 0 ? "trouble" : level(queue, 0.5, 0.9), bar(queue, level(queue, 0.5, 0.9))],
    known(p.connections) && ["connections", count(p.connections)],
    ["live picture", `${percent(m.used / m.limit)} of ${bytes(m.limit)}`, m.refused > 0 ? "warning" : undefined, bar(m.used / m.limit)],
    m.refused > 0 && ["not shown: full", `${count(m.refused)} points`, "warning"],
  ];
}

// containerTitle identifies a container by its name, which only the sidecar's own may have, or by its ID or path.
function containerTitle(c) {
  if (c.name) return `Container ${c.name} (the sidecar)`;
  return c.id ? `Container ${c.id.slice(0, 12)}` : `Cgroup ${c.path}`;
}

export class Strips {
  constructor(root) {
    this.root = root;
    this.all = [];
  }

  show(picture) {
    const shown = picture.containers.slice(0, 3);
    const strips = [
      ["Host", host(picture)],
      ...shown.map((c) => [containerTitle(c), container(c, picture.course)]),
      ["Probes", probes(picture.probes)],
      [picture.pipeline.upstream ? `Pipeline to ${picture.pipeline.upstream}` : "Pipeline", pipeline(picture)],
    ];
    keep(this.root, this.all, strips.length, () => new Strip());
    strips.forEach(([title, rows], i) => this.all[i].show(title, rows));
  }
}
