// Starts sidecars, and sends to them as apps do.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

// start starts the sidecar that the variable SIDECAR names. It returns the addresses of its page and its OTLP receiver, and a function that stops it.
export async function start() {
  const [page, otlp] = [await freePort(), await freePort()];
  const process_ = spawn(process.env.SIDECAR ?? "../../bin/sidecar", [
    "--page-address", `127.0.0.1:${page}`, "--relay-http-address", `127.0.0.1:${otlp}`, "--relay-grpc-address", "off", "--health-address", "off",
    "--interval", "1s", "--probe-disk-interval", "0", "--exporter", "none",
  ], { stdio: ["ignore", "inherit", "inherit"] });
  const url = `http://127.0.0.1:${page}/`;
  for (;;) {
    if (process_.exitCode !== null) throw new Error(`the sidecar exited with code ${process_.exitCode}`);
    try {
      await fetch(`${url}api/v1/picture`);
      break;
    } catch {
      await new Promise((r) => setTimeout(r, 20)); // it is not listening yet
    }
  }
  return {
    url, pid: process_.pid, otlp: `http://127.0.0.1:${otlp}/v1/metrics`,
    stop: async () => {
      process_.kill();
      if (process_.exitCode === null) await once(process_, "exit");
    },
  };
}

const text = (key, stringValue) => ({ key, value: { stringValue } });

// send exports pools: each { name, used, limit, pending, oldest, acquired, holders, longest }, each holder { age, stack, trace }, and longest { wait, trace }.
export async function send(otlp, pools, service = "shop") {
  const now = BigInt(Date.now()) * 1_000_000n;
  const [timeUnixNano, startTimeUnixNano] = [String(now), String(now - 10_000_000_000n)];
  const metrics = [];
  const sum = (name, point, isMonotonic = false) => metrics.push({ name, sum: { aggregationTemporality: 2, isMonotonic, dataPoints: [point] } });
  for (const p of pools) {
    const attributes = [text("poolgauge.pool.name", p.name), text("poolgauge.pool.kind", p.kind ?? "worker")];
    const at = { timeUnixNano, startTimeUnixNano };
    sum("poolgauge.pool.limit", { ...at, attributes, asInt: String(p.limit) });
    sum("poolgauge.pool.usage", { ...at, attributes: [...attributes, text("poolgauge.pool.state", "used")], asInt: String(p.used) });
    sum("poolgauge.pool.pending", { ...at, attributes, asInt: String(p.pending ?? 0) });
    sum("poolgauge.pool.requests", { ...at, attributes: [...attributes, text("poolgauge.pool.outcome", "acquired")], asInt: String(p.acquired ?? 1000) }, true);
    if (p.oldest) metrics.push({ name: "poolgauge.pool.pending.age", gauge: { dataPoints: [{ ...at, attributes, asDouble: p.oldest }] } });
    if (p.holders) metrics.push({ name: "poolgauge.pool.use.age", gauge: { dataPoints: [{
      ...at, attributes, asDouble: p.holders[0].age,
      exemplars: p.holders.map((h) => ({ timeUnixNano, asDouble: h.age, traceId: h.trace, filteredAttributes: [text("code.stacktrace", h.stack)] })),
    }] } });
    metrics.push({ name: "poolgauge.pool.wait.duration", exponentialHistogram: { aggregationTemporality: 2, dataPoints: [{
      ...at, attributes: [...attributes, text("poolgauge.pool.outcome", "acquired")], count: "60", sum: 1, scale: 3, zeroCount: "0",
      exemplars: p.longest && [{ timeUnixNano, asDouble: p.longest.wait, traceId: p.longest.trace }],
      positive: { offset: -80, bucketCounts: Array(60).fill("1") },
    }] } });
  }
  const body = JSON.stringify({ resourceMetrics: [{
    resource: { attributes: [text("service.name", service), text("service.instance.id", "1")] }, scopeMetrics: [{ metrics }],
  }] });
  const answer = await fetch(otlp, { method: "POST", headers: { "Content-Type": "application/json" }, body });
  if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`);
}

// many returns n pools, some of which have waiting requests.
export function many(n, round = 0) {
  return Array.from({ length: n }, (_, i) => ({
    name: `pool-${String(i).padStart(3, "0")}`, limit: 4 + i % 40, used: (i * 7 + round) % (4 + i % 40), pending: i % 50 === 0 ? 3 + round % 5 : 0,
    oldest: i % 50 === 0 ? 0.2 + (round % 7) / 5 : undefined, acquired: 1000 + i * round,
  }));
}
