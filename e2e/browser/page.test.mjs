// Tests the page in a real browser: npm ci, then node --test. The variable SIDECAR names the
// sidecar's program, and ROUNDS for how many seconds the test with 500 pools measures.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import axeCore from "axe-core";
import { launch, longestTask, open } from "./browser.mjs";
import { many, send, start } from "./sidecar.mjs";

let browser, sidecar;
before(async () => {
  browser = await launch();
  sidecar = await start();
});
after(async () => {
  await browser.close();
  await sidecar.stop();
});

const hostile = `<img src=x onerror="window.broken=1"></li><script>window.broken=1</script>`;

test("a pool appears soon after its first point", async () => {
  const { page, faults, close } = await open(browser, sidecar.url);
  await page.getByText("No pool has sent anything yet").waitFor();
  const begin = performance.now();
  await send(sidecar.otlp, [{ name: "first", limit: 8, used: 8, pending: 12, oldest: 1.25 }]);
  await page.getByRole("button", { name: "first" }).waitFor();
  console.log(`a pool appears after ${Math.round(performance.now() - begin)} ms`);
  await page.getByText("8 of 8 used").waitFor();
  await page.getByText("12 waiting", { exact: true }).waitFor();
  assert.equal(await page.locator(".oldest .value").first().textContent(), "1.3 s");
  assert.match(await page.locator("h1").textContent(), /^first: 12 waiting, the oldest for 1.25 s/);
  assert.deepEqual(faults, []);
  await close();
});

test("markup in names is shown as text", async () => {
  const { page, faults, close } = await open(browser, sidecar.url);
  await send(sidecar.otlp, [{ name: hostile, kind: hostile, limit: 2, used: 2, pending: 1, oldest: 9 }], `${hostile}s`);
  await page.getByText(hostile, { exact: true }).first().waitFor();
  await page.locator(".name button").first().click();
  await page.locator(".chart .single").first().waitFor();
  assert.equal(await page.evaluate(() => window.broken), undefined);
  assert.equal(await page.locator("main img, main script").count(), 0);
  assert.deepEqual(faults, []);
  await close();
});

test("a pool's details list its oldest holders", async () => {
  const { page, faults, close } = await open(browser, sidecar.url);
  const trace = "4bf92f3577b34da6a3ce929d0e0e4736";
  await send(sidecar.otlp, [{ name: "held", limit: 2, used: 2, pending: 3, oldest: 2, longest: { wait: 4.2, trace }, holders: [
    { age: 12.5, trace, stack: "main.query(...)\n\t/src/query.go:12\nmain.serve(...)\n\t/src/main.go:40\n" }, { age: 3, stack: "<img src=x onerror=window.broken=1>(...)\n\t/src/x.go:1\n" },
  ] }]);
  await page.getByRole("button", { name: "held" }).click();
  const holders = page.getByRole("list", { name: "Oldest holders of its slots" }).locator("li");
  await holders.nth(1).waitFor();
  assert.equal(await holders.first().textContent(), `held for 12.5 s by main.query (query.go:12) < main.serve (main.go:40)trace ${trace}`);
  await page.locator(".facts").getByText(`longest wait 4.2 s, trace ${trace}`).waitFor();
  assert.equal(await holders.nth(1).textContent(), "held for 3 s by <img src=x onerror=window.broken=1> (x.go:1)");
  assert.equal(await page.evaluate(() => window.broken), undefined);
  assert.deepEqual(faults, []);
  await close();
});

test("the page fits every screen, and axe finds no violations", async () => {
  for (const scheme of ["dark", "light"]) {
    for (const width of [360, 768, 1201, 1280, 1920]) {
      const { page, faults, close } = await open(browser, sidecar.url, { width, scheme });
      await page.locator(".name button").first().click();
      await page.locator(".chart .single").first().waitFor();
      const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(over <= 0, `${width} px: ${over} px too wide`);
      await page.evaluate(axeCore.source);
      const { violations } = await page.evaluate(() => axe.run());
      assert.deepEqual(violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html).join(" ")}`), [], `${width} px, ${scheme}`);
      assert.deepEqual(faults, []);
      await close();
    }
  }
});

test("everything can be reached by keyboard", async () => {
  const { page, close } = await open(browser, sidecar.url);
  await page.locator(".name button").first().waitFor();
  const reached = [];
  for (let i = 0; i < 4; i++) {
    await page.keyboard.press("Tab");
    reached.push(await page.evaluate(() => document.activeElement.id || document.activeElement.textContent));
  }
  assert.deepEqual(reached.slice(0, 3), ["filter", "sort", "theme"]);
  await page.keyboard.press("Enter");
  const group = page.getByRole("group", { name: /Charts/ });
  await group.waitFor();
  await page.locator(".chart .single").first().waitFor();
  await page.keyboard.press("Tab");
  await page.keyboard.press("ArrowLeft");
  assert.equal(await page.locator(".cursor[visibility=visible]").count(), await page.locator(".cursor").count(), "every chart shows the cursor");
  await page.keyboard.press("Escape");
  assert.equal(await page.locator(".cursor[visibility=visible]").count(), 0);
  await page.keyboard.press("Escape");
  await group.waitFor({ state: "detached" });
  await page.keyboard.press("/");
  await page.keyboard.type("no such pool");
  await page.locator(".pool").first().waitFor({ state: "detached" });
  await page.keyboard.press("Escape");
  await page.locator(".pool").first().waitFor();
  await close();
});

test("25 pools per page", async (t) => {
  const own = await start();
  t.after(own.stop);
  const { page, faults, close } = await open(browser, own.url);
  await send(own.otlp, many(120));
  const names = page.locator(".name button");
  await page.getByText("1 to 25 of 120").waitFor();
  await page.locator("#sort").selectOption("name");
  await page.getByRole("button", { name: "pool-001" }).click();
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByText("26 to 50 of 120").waitFor();
  assert.deepEqual([await names.count(), await names.first().textContent()], [26, "pool-025, warning"]);
  assert.equal(await page.locator(".detail").count(), 1, "the open pool is on each page");
  for (const range of ["51 to 75", "76 to 100", "101 to 120"]) {
    await page.getByRole("button", { name: "Next" }).click();
    await page.getByText(`${range} of 120`).waitFor();
  }
  assert.ok(await page.locator("#next").isDisabled());
  await page.locator("#filter").fill("pool-00");
  await page.locator("#pages").waitFor({ state: "hidden" });
  assert.equal(await names.count(), 10);
  await page.locator("#filter").fill("");
  await page.getByText("1 to 25 of 120").waitFor();
  // While the pointer is over the rows, they do not move, even if their order changes.
  await page.locator("#sort").selectOption("fill");
  await page.waitForFunction(() => !document.querySelector(".name button").textContent.startsWith("pool-000"));
  await names.nth(3).hover();
  const before = await names.allTextContents();
  await send(own.otlp, many(120, 3));
  await page.waitForFunction((was) => document.querySelector("#pools").textContent !== was, await page.locator("#pools").textContent());
  const stripped = (all) => all.map((name) => name.split(",")[0]);
  assert.deepEqual(stripped(await names.allTextContents()), stripped(before));
  await page.mouse.move(0, 0);
  await page.waitForFunction((was) => document.querySelector(".name button").textContent !== was, before[0]);
  assert.deepEqual(faults, []);
  await close();
});

test("500 pools that change every second", { timeout: 20 * 60_000 }, async () => {
  const rounds = Number(process.env.ROUNDS ?? 15);
  const { page, faults, close } = await open(browser, sidecar.url);
  const cdp = await page.context().newCDPSession(page);
  await cdp.send("Performance.enable", { timeDomain: "threadTicks" }); // CPU time, which does not depend on the load of the machine
  const measure = async () => {
    await cdp.send("HeapProfiler.collectGarbage");
    return Object.fromEntries((await cdp.send("Performance.getMetrics")).metrics.map((m) => [m.name, m.value]));
  };
  await page.evaluate(() => {
    window.frames_ = [];
    let last = performance.now();
    const frame = (now) => {
      window.frames_.push(now - last);
      last = now;
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  });
  const watch = async (from, to) => {
    for (let round = from; round <= to; round++) {
      const next = new Promise((r) => setTimeout(r, 1000)); // the app's interval
      await send(sidecar.otlp, many(500, round));
      await next;
    }
  };
  await send(sidecar.otlp, many(500));
  await page.getByText(/of 5\d\d$/).waitFor();
  await page.locator(".name button").first().click();
  await page.locator(".chart .single").first().waitFor();
  await watch(1, 3);
  const early = await measure();
  await watch(4, rounds + 3);
  const late = await measure();
  const longest = await longestTask(browser, page, () => watch(rounds + 4, rounds + 13));
  const frames = (await page.evaluate(() => window.frames_)).sort((a, b) => a - b);
  const at = (q) => frames[Math.floor(q * (frames.length - 1))].toFixed(1);
  const each = (name) => (1000 * (late[name] - early[name]) / rounds).toFixed(1);
  console.log(`frames: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(1)} ms; a second takes ${each("ScriptDuration")} ms of script, ${each("RecalcStyleDuration")} of style, ${each("LayoutDuration")} of layout, ${each("TaskDuration")} in all, and the longest task ${longest.toFixed(1)}, on the CPU; heap ${(early.JSHeapUsedSize / 1e6).toFixed(1)} to ${(late.JSHeapUsedSize / 1e6).toFixed(1)} MB; ${late.Nodes} nodes`);
  const layouts = (late.LayoutCount - early.LayoutCount) / rounds;
  assert.ok(layouts < 15, `${layouts} layouts a second`);
  assert.ok(longest < 50, `a task of ${longest} ms`);
  assert.ok(late.JSHeapUsedSize < 100e6, `heap of ${late.JSHeapUsedSize} bytes`);
  assert.ok(late.JSHeapUsedSize < 1.3 * early.JSHeapUsedSize + 3e6, "the heap grows");
  assert.ok(late.Nodes < 1.1 * early.Nodes + 2000, `nodes grow from ${early.Nodes} to ${late.Nodes}`);
  assert.deepEqual(faults, []);
  await close();
});

test("the page says when the sidecar is gone", async () => {
  const other = await start();
  const { page, close } = await open(browser, other.url);
  await page.locator("#state[data-state=live]").waitFor();
  await other.stop();
  await page.locator("#state[data-state=gone]").waitFor({ timeout: 60_000 });
  assert.match(await page.locator("#state").textContent(), /no response from the sidecar/);
  await close();
});
