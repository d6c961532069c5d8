/** Times a codec in memory, as JSON: `node bench.mjs RUN_FOLDER X.npz`. */

import { readFeatures, readFolder } from "./src/folder.mjs";
import { compress, decompress, loadCodec } from "./src/index.mjs";

const [folder, set] = process.argv.slice(2);
const codec = loadCodec(readFolder(folder));
const { data, shape } = readFeatures(set);

function rate(run) {
  const began = performance.now();
  run();
  return Math.round((1000 * shape[0]) / (performance.now() - began));
}

const file = compress(codec, data);
const found = { num_features: shape[0], encode: [], decode: [] };
for (let round = 0; round < 5; round++) {
  found.encode.push(rate(() => compress(codec, data)));
  found.decode.push(rate(() => decompress(codec, file)));
}
console.log(JSON.stringify(found));
