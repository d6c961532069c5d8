/**
 * What the page shows in headless Chromium, as JSON:
 * `node browser.mjs MODULES PAGE FILE...`, where the folder MODULES has had
 * `npm install @sparticuz/chromium puppeteer-core`.
 */

import { open } from "./open.mjs";

const [modules, page, ...files] = process.argv.slice(2);
const { tab, close } = await open(modules, page);

const text = (selector) => tab.$eval(selector, (e) => e.innerText);
const seen = async () => ({
  about: await text("#about"),
  bytes: await text("#bytes"),
  distances: await text("#distances"),
  verdict: await text("#verdict"),
  decoded: await text("#decoded"),
  points: await tab.$$eval("#curve circle", (found) => found.length),
  codecs: await tab.$$eval("#codec option", (found) => found.map((o) => o.text)),
});

const shown = [await seen()];
await tab.select("#codec", "1");
await tab.select("#second", "2");
shown.push(await seen());
for (const group of files) {
  const input = await tab.$("#files");
  await input.uploadFile(...group.split(","));
  await tab.waitForFunction(() => document.getElementById("decoded").innerText);
  shown.push(await seen());
  await tab.$eval("#decoded", (e) => e.replaceChildren());
}
console.log(JSON.stringify({ shown, ...(await close()) }));
