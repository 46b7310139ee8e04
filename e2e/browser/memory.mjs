// Measures the memory of the page with 500 pools: node memory.mjs [SECONDS]
// No tool is attached to the browser, since an attached tool keeps what the page receives, and
// collects its garbage when it measures.

import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { many, send, start } from "./sidecar.mjs";

const seconds = Number(process.argv[2] ?? 600);
const sidecar = await start();
await send(sidecar.otlp, many(500));
const [{ id }] = (await (await fetch(`${sidecar.url}api/v1/picture`)).json()).pools;
const profile = mkdtempSync(join(tmpdir(), "page-"));
const browser = spawn(process.env.CHROMIUM ?? "/usr/bin/chromium", [
  "--headless", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,800", `--user-data-dir=${profile}`, "--remote-debugging-port=0", `${sidecar.url}#${id}`,
], { stdio: "ignore", detached: true });

const stat = (pid) => readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1).split(" "); // the fields from the state on
// cpuTicks returns the CPU time of a process, in clock ticks.
const cpuTicks = (pid) => Number(stat(pid)[11]) + Number(stat(pid)[12]);

// renderers returns the CPU time of each of the browser's renderers.
function renderers() {
  const all = new Map();
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      if (Number(stat(pid)[2]) === browser.pid && readFileSync(`/proc/${pid}/cmdline`, "latin1").includes("--type=renderer")) all.set(pid, cpuTicks(pid));
    } catch {
      // it has exited
    }
  }
  return all;
}

// Private memory is memory that no file backs, as in the browser's task manager. The resident set
// also includes 120 MB of the program itself, which all of the browser's processes share.
function memory(pid) {
  const kB = (name) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]);
  return { private: kB("RssAnon") * 1024 / 1e6, resident: kB("VmRSS") * 1024 / 1e6 };
}

let before, pid, first, peak = 0;
for (let second = 1; second <= seconds; second++) {
  const next = new Promise((r) => setTimeout(r, 1000));
  await send(sidecar.otlp, many(500, second));
  await next;
  if (second === 5) before = renderers();
  if (second < 10) continue;
  pid ??= [...renderers()].map(([one, time]) => [one, time - (before.get(one) ?? 0)]).reduce((a, b) => b[1] > a[1] ? b : a)[0]; // the busiest
  const now = memory(pid);
  first ??= now;
  peak = Math.max(peak, now.private);
  if (second % 30 === 0 || second === seconds) console.log(`${second} s: private ${now.private.toFixed(1)} MB, at first ${first.private.toFixed(1)}, at the peak ${peak.toFixed(1)}; resident ${now.resident.toFixed(1)}`);
}
if (peak >= 100) process.exitCode = 1;
process.kill(-browser.pid);
await sidecar.stop();
setTimeout(() => rmSync(profile, { recursive: true, force: true }), 1000);
