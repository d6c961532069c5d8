/** Run folders on a disk; everything else runs in a browser too. */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { inflateRawSync } from "node:zlib";

import { TsenhError } from "./error.mjs";
import { readNpy, readNpz } from "./npy.mjs";

const NAMES = ["config.json", "weights.npz", "tables.npz"];

/**
 * The files of a run folder, as `loadCodec` and `loadEnhancer` take them.
 * @param {string} folder
 * @returns {Record<string, Uint8Array>}
 */
export function readFolder(folder) {
  const files = {};
  for (const name of [...NAMES, ...NAMES.map((name) => `high/${name}`)]) {
    const path = join(folder, name);
    if (existsSync(path)) files[name] = new Uint8Array(readFileSync(path));
  }
  if (!files["config.json"]) {
    throw new TsenhError(`${folder}: no run folder, for it has no config.json.`);
  }
  return files;
}

/** The features of a .npy, or of a .npz's array of that name. */
export function readFeatures(path) {
  const bytes = new Uint8Array(readFileSync(path));
  // A member must not inflate to more than it says.
  const inflate = (packed, size) =>
    new Uint8Array(inflateRawSync(packed, { maxOutputLength: size || 1 }));
  return path.endsWith(".npz")
    ? readNpz(bytes, path, inflate)("features")
    : readNpy(bytes, path);
}
