/**
 * What the slider page shows in headless Chromium, as JSON:
 * `node slider.mjs MODULES PAGE`; see `open`.
 */

import { open } from "../../ports/javascript/page/open.mjs";

const { tab, close } = await open(...process.argv.slice(2));
const seen = () =>
  tab.evaluate(async () => {
    const images = ["over", "under"].map((id) => document.getElementById(id));
    await Promise.all(images.map((image) => image.decode()));
    return {
      left: document.getElementById("left").selectedOptions[0].text,
      right: document.getElementById("right").selectedOptions[0].text,
      sizes: images.map((image) => [image.naturalWidth, image.naturalHeight]),
      sources: images.map((image) => image.src),
      clip: images[0].style.clipPath,
    };
  });

const shown = [await seen()];
await tab.select("#face", "3");
await tab.select("#right", "2");
await tab.$eval("#slider", (slider) => {
  slider.value = 80;
  slider.dispatchEvent(new Event("input"));
});
shown.push(await seen());
const faces = await tab.$$eval("#face option", (found) => found.length);
console.log(JSON.stringify({ shown, faces, ...(await close()) }));
