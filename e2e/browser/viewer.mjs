// Compares the CPU time of two sidecars, one of them with a viewer, in the same minute and with 100
// pools that change every second: node viewer.mjs [SECONDS]

import { readdirSync, readFileSync } from "node:fs";
import { launch, open } from "./browser.mjs";
import { many, send, start } from "./sidecar.mjs";

const seconds = Number(process.argv[2] ?? 60);
const [none, one] = [await start(), await start()];
const browser = await launch();
const viewer = await open(browser, one.url);

// cpuSeconds returns the CPU time of a process, in seconds.
const cpuSeconds = (pid) => readdirSync(`/proc/${pid}/task`).reduce((sum, thread) => sum + Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]) / 1e9, 0);

async function feed(rounds, from) {
  for (let round = from; round < from + rounds; round++) {
    const next = new Promise((r) => setTimeout(r, 1000));
    for (const sidecar of round % 2 ? [none, one] : [one, none]) await send(sidecar.otlp, many(100, round));
    await next;
  }
}

await feed(10, 0);
const before = [none, one].map((s) => cpuSeconds(s.pid));
await feed(seconds, 10);
const [without, watched] = [none, one].map((s, i) => 100 * (cpuSeconds(s.pid) - before[i]) / seconds);
console.log(`without a viewer ${without.toFixed(3)}% of a core, with one ${watched.toFixed(3)}%: ${(watched - without).toFixed(3)}% more`);
if (watched >= 0.5 + without) process.exitCode = 1;
await viewer.close();
await browser.close();
await Promise.all([none, one].map((s) => s.stop()));
