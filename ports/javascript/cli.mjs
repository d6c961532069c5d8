#!/usr/bin/env node
/** Encodes and decodes .tsf files; `node cli.mjs --help` tells how. */

import { randomBytes } from "node:crypto";
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { parseArgs } from "node:util";

import { readFeatures, readFolder } from "./src/folder.mjs";
import {
  compress,
  decompress,
  loadCodec,
  loadEnhancer,
  TsenhError,
  writeNpy,
} from "./src/index.mjs";

const HELP = `Encodes face features to a .tsf file, and decodes it.

  node cli.mjs encode --codec=RUN_FOLDER --input=x.npy --output=x.tsf
  node cli.mjs decode --codec=RUN_FOLDER --input=x.tsf --output=x.npy

  --codec         the run folder of the codec, e.g. checkpoints/pro-1e-6
  --input         encode: .npy, or .npz with an array "features"; decode: .tsf
  --output        what to write; it appears under its name when it is complete
  --packing       encode: shared (the smallest, default) or separate
  --block_size    encode: features per block, 1 to 65536 (default 1024)
  --enhancer      decode: the run folder of an enhancer for the codec
  --max_features  decode: refuse a file of more features (default: 64 for each byte)

The files are those of python -m tsenh.encode and tsenh.decode.`;

const OPTIONS = {
  encode: ["codec", "input", "output", "packing", "block_size"],
  decode: ["codec", "input", "output", "enhancer", "max_features"],
};

function integer(values, name, fallback) {
  if (values[name] === undefined) return fallback;
  if (!/^\d{1,15}$/.test(values[name])) {
    throw new TsenhError(`--${name}=${values[name]}: expected a whole number.`);
  }
  return Number(values[name]);
}

/** Writes a file that takes its name only once it is complete. */
function write(path, bytes) {
  const hidden = `.${basename(path).slice(0, 200)}.${randomBytes(4).toString("hex")}`;
  const temporary = join(dirname(path), hidden);
  try {
    writeFileSync(temporary, bytes);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

function run(verb, values) {
  for (const name of ["codec", "input", "output"]) {
    if (!values[name]) throw new TsenhError(`--${name} is missing.`);
  }
  const ending = verb === "encode" ? ".tsf" : ".npy";
  if (!values.output.endsWith(ending)) {
    throw new TsenhError(`--output=${values.output}: expected ${ending}.`);
  }
  const codec = loadCodec(readFolder(values.codec));
  if (verb === "encode") {
    const { data, shape } = readFeatures(values.input);
    if (shape.length !== 2 || shape[1] !== codec.model.featureDim) {
      throw new TsenhError(
        `${values.input}: of shape [${shape}], but the codec is for features` +
          ` [n, ${codec.model.featureDim}].`,
      );
    }
    const blockSize = integer(values, "block_size", 1024);
    const options = { packing: values.packing ?? "shared", blockSize };
    write(values.output, compress(codec, data, options));
  } else {
    const options = { maxFeatures: integer(values, "max_features") };
    if (values.enhancer) {
      options.enhancer = loadEnhancer(readFolder(values.enhancer));
    }
    const data = new Uint8Array(readFileSync(values.input));
    const { features, count, dim } = decompress(codec, data, options);
    write(values.output, writeNpy(features, [count, dim]));
  }
}

function main() {
  const [verb, ...flags] = process.argv.slice(2);
  if (process.argv.includes("--help") || process.argv.includes("-h")) {
    console.log(HELP);
    return;
  }
  if (!Object.hasOwn(OPTIONS, verb ?? "")) {
    throw new TsenhError("expected encode or decode; --help tells more.");
  }
  const options = Object.fromEntries(
    OPTIONS[verb].map((name) => [name, { type: "string" }]),
  );
  run(verb, parseArgs({ args: flags, options, strict: true }).values);
}

try {
  main();
} catch (error) {
  // Of the system's errors (a missing file, a full disk) and of bad flags the
  // first line says all; others are faults of this program.
  const known = error instanceof TsenhError || error.code;
  if (!known) throw error;
  console.error(`error: ${error.message.split("\n")[0]}`);
  process.exitCode = 1;
}
