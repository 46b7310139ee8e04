// Records an animation of the page over some minutes: node animation.mjs URL FILE.webp [SECONDS [EVERY]]
// For the animation in docs/page.md, start sidecar demo, and this script immediately after it.

import { writeFileSync } from "node:fs";
import { launch, open } from "./browser.mjs";

const [url, file, seconds = 300, every = 20] = process.argv.slice(2);
const [width, height] = [1280, 680];
const shownFor = 1500; // ms per picture

// number returns value as a little-endian number of size bytes.
const number = (value, size) => Buffer.from(Array.from({ length: size }, (_, i) => value >> (8 * i) & 255));

// chunk returns a chunk of a RIFF file: its name, its length, and its data padded to even length.
function chunk(name, ...data) {
  const all = Buffer.concat(data);
  return Buffer.concat([Buffer.from(name), number(all.length, 4), all, Buffer.alloc(all.length % 2)]);
}

// image returns the chunk of a WebP file that holds the image.
function image(webp) {
  for (let at = 12; at < webp.length;) {
    const size = webp.readUInt32LE(at + 4), end = at + 8 + size + size % 2;
    if (/^VP8[ L]$/.test(webp.toString("latin1", at, at + 4))) return webp.subarray(at, end);
    at = end;
  }
  throw new Error("the WebP file has no image chunk");
}

const browser = await launch();
const { page, close } = await open(browser, url, { width, height });
await page.locator(".pool").first().waitFor();
const cdp = await page.context().newCDPSession(page);
const frames = [];
for (let at = 0; at < seconds; at += Number(every)) {
  const next = page.waitForTimeout(1000 * every);
  const { data } = await cdp.send("Page.captureScreenshot", { format: "webp", quality: 60 });
  frames.push(chunk("ANMF", number(0, 6), number(width - 1, 3), number(height - 1, 3), number(shownFor, 3), number(2, 1), image(Buffer.from(data, "base64"))));
  await next;
}
const size = Buffer.concat([number(width - 1, 3), number(height - 1, 3)]);
writeFileSync(file, chunk("RIFF", Buffer.from("WEBP"), chunk("VP8X", number(2, 4), size), chunk("ANIM", number(0, 6)), ...frames));
await close();
await browser.close();
