/**
 * What the page shows in headless Chromium, as JSON:
 * `node browser.mjs MODULES PAGE FILE...`, where the folder MODULES has had
 * `npm install @sparticuz/chromium puppeteer-core`.
 */

import { createRequire } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, page, ...files] = process.argv.slice(2);
const require = createRequire(resolve(modules, "index.js"));
const load = async (name) => (await import(pathToFileURL(require.resolve(name)))).default;
const chromium = await load("@sparticuz/chromium");
const puppeteer = await load("puppeteer-core");

const browser = await puppeteer.launch({
  args: [...chromium.args, "--no-sandbox"],
  executablePath: await chromium.executablePath(),
  headless: "shell",
});
const tab = await browser.newPage();
const errors = [];
const requests = [];
tab.on("pageerror", (error) => errors.push(error.message));
tab.on("request", (request) => requests.push(request.url()));
await tab.setViewport({ width: 390, height: 844 });
await tab.goto(pathToFileURL(resolve(page)).href);

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
const width = await tab.evaluate(() => document.documentElement.scrollWidth);
await browser.close();
const elsewhere = requests.filter((url) => !/^(file|blob|data):/.test(url));
console.log(JSON.stringify({ shown, errors, elsewhere, width }));
