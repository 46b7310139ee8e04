// The memory of the page with 500 pools, in a browser that nothing is attached to: node memory.mjs [SECONDS]
// Tools that are attached to a page keep what it receives, and collect its garbage when they measure.

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

const stat = (pid) => readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1).split(" "); // from the state on
const worked = (pid) => Number(stat(pid)[11]) + Number(stat(pid)[12]);

// renderers returns the CPU time of each of the browser's renderers.
function renderers() {
  const all = new Map();
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      if (Number(stat(pid)[2]) === browser.pid && readFileSync(`/proc/${pid}/cmdline`, "latin1").includes("--type=renderer")) all.set(pid, worked(pid));
    } catch {
      // it has ended
    }
  }
  return all;
}

// Private memory is what no file backs: that of the browser's task manager. The resident set is 120 MB
// larger by the program, which all of its processes share.
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
