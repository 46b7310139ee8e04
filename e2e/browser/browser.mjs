// Opens pages in Debian's chromium, which can reach only the sidecar, and collects their errors.

import { chromium } from "playwright-core";

export async function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-dev-shm-usage", "--force-color-profile=srgb"],
  });
}

// open opens the page. faults lists each console error, uncaught exception and request to another server.
export async function open(browser, url, { width = 1280, height = 800, scheme = "dark", ...more } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, ...more });
  const faults = [];
  const page = await context.newPage();
  page.on("console", (m) => {
    if (m.type() === "error" || m.type() === "warning") faults.push(`console: ${m.text()}`);
  });
  page.on("pageerror", (e) => faults.push(`exception: ${e.message}`));
  await context.route("**", (route) => {
    const to = new URL(route.request().url());
    if (to.origin === new URL(url).origin) return route.continue();
    faults.push(`request to ${to.origin}`);
    return route.abort();
  });
  await page.goto(url);
  return { page, faults, close: () => context.close() };
}

// longestTask returns the CPU time, in ms, of the page's longest task while run executes. Unlike
// the time between frames, it does not depend on the load of the machine.
export async function longestTask(browser, page, run) {
  await browser.startTracing(page, { categories: ["toplevel", "devtools.timeline"] });
  await run();
  const { traceEvents } = JSON.parse(await browser.stopTracing());
  const drawn = traceEvents.find((e) => e.name === "FireAnimationFrame");
  const tasks = traceEvents.filter((e) => e.name.endsWith("RunTask") && e.tdur && e.pid === drawn.pid && e.tid === drawn.tid);
  return Math.max(...tasks.map((e) => e.tdur)) / 1000;
}
