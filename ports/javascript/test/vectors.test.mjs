// The golden vectors of the format (docs/porting.md), in the order there, and
// those of shipped linear codecs.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import {
  compressCodes,
  decodeString,
  decompress,
  encode,
  encodeString,
  loadCodec,
  loadEnhancer,
  readBlocks,
  TsenhError,
} from "../src/index.mjs";
import { readFolder } from "../src/folder.mjs";

const EXPECTED = fileURLToPath(new URL("../../../tests/expected", import.meta.url));
const vectors = JSON.parse(readFileSync(join(EXPECTED, "vectors.json")));
const ahead = JSON.parse(readFileSync(join(EXPECTED, "ahead.json")));
const SHIPPED = fileURLToPath(new URL("../../../checkpoints", import.meta.url));
const shipped = [...new Set(ahead.network.map(({ codec }) => codec))];
const folders = [
  ...["classic", "tfc"].map((name) => [name, join(EXPECTED, "codecs", name)]),
  ...shipped.map((name) => [name, join(SHIPPED, name)]),
];
const codecs = Object.fromEntries(
  folders.map(([name, folder]) => [name, loadCodec(readFolder(folder))]),
);
const bytes = (hex) => Uint8Array.from(Buffer.from(hex, "hex"));

function near(found, expected) {
  const length = Math.hypot(...expected);
  assert.equal(found.length, expected.length);
  found.forEach((x, i) => {
    assert.ok(Math.abs(x - expected[i]) <= vectors.tolerance * length);
  });
}

for (const { name, symbols, cdfs, string } of vectors.range_coder) {
  test(`range coder: ${name}`, () => {
    assert.deepEqual(encodeString(symbols, (i) => cdfs[i]), bytes(string));
    const found = new Int32Array(symbols.length);
    decodeString(bytes(string), cdfs, found);
    assert.deepEqual([...found], symbols);
  });
}

for (const { name, codec, packing, block_size, codes, tsf } of [
  ...vectors.files,
  ...ahead.files,
]) {
  test(`file: ${name}, ${codec}`, () => {
    const flat = Int32Array.from(codes.flat());
    const written = compressCodes(codecs[codec], flat, {
      packing: ["shared", "separate"][packing],
      blockSize: block_size,
    });
    assert.deepEqual(written, bytes(tsf));
    const read = [...readBlocks(codecs[codec], bytes(tsf))];
    assert.deepEqual(read.flatMap((block) => [...block]), [...flat]);
  });
}

for (const { name, codec, tsf } of vectors.rejects) {
  test(`refused: ${name}, ${codec}`, () => {
    assert.throws(() => decompress(codecs[codec], bytes(tsf)), TsenhError);
  });
}

test("network", () => {
  const cases = [...vectors.network, ...ahead.network];
  for (const { codec, features, code, decoded } of cases) {
    assert.deepEqual([...encode(codecs[codec], features)], code);
    const file = compressCodes(codecs[codec], Int32Array.from(code));
    near(decompress(codecs[codec], file).features, decoded);
  }
});

test("enhancer", () => {
  const enhancer = loadEnhancer(readFolder(join(EXPECTED, "enhancer")));
  for (const { code, enhanced, decoded } of vectors.enhancer) {
    near(enhancer.enhance(code, 1), enhanced);
    const file = compressCodes(codecs.tfc, Int32Array.from(code));
    near(decompress(codecs.tfc, file, { enhancer }).features, decoded);
  }
});
