// Takes pictures of the page: node pictures.mjs URL DIRECTORY [POOL]
// If a pool is named, its charts are open.

import { launch, open } from "./browser.mjs";

const [url, directory, pool] = process.argv.slice(2);
const browser = await launch();
for (const scheme of ["dark", "light"]) {
  for (const [width, height] of [[1280, 800], [360, 780], [1920, 1080]]) {
    const { page, faults, close } = await open(browser, url, { width, height, scheme });
    await page.locator(".pool").first().waitFor();
    if (pool) {
      await page.getByRole("button", { name: pool }).click();
      await page.locator(".chart .single").first().waitFor();
      await page.waitForTimeout(500);
    }
    if (pool || width < 500) { // the entire page: parts that are out of view are not drawn
      await page.setViewportSize({ width, height: await page.evaluate(() => document.documentElement.scrollHeight) });
      await page.waitForTimeout(500);
    }
    await page.screenshot({ path: `${directory}/page-${width}-${scheme}${pool ? "-open" : ""}.png` });
    for (const f of faults) console.error(f);
    await close();
  }
}
await browser.close();
