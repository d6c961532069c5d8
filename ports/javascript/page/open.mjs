/** Opens a page in headless Chromium, as wide as a phone. */

import { createRequire } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

/**
 * @param modules a folder that has had
 *   `npm install @sparticuz/chromium puppeteer-core`.
 * @param page the path of the page.
 * @returns the tab, and what closes it and gives the errors of its scripts, the
 *   addresses elsewhere that it asked for, and its width.
 */
export async function open(modules, page) {
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
  const elsewhere = [];
  tab.on("pageerror", (error) => errors.push(error.message));
  tab.on("request", (request) => {
    if (!/^(file|blob|data):/.test(request.url())) elsewhere.push(request.url());
  });
  await tab.setViewport({ width: 390, height: 844 });
  await tab.goto(pathToFileURL(resolve(page)).href);
  const close = async () => {
    const width = await tab.evaluate(() => document.documentElement.scrollWidth);
    await browser.close();
    return { errors, elsewhere, width };
  };
  return { tab, close };
}
