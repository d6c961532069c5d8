/** The codec and its .tsf file (FORMAT.md, sections 3, 5, 6). */

import { TsenhError } from "./error.mjs";
import { readEnhancer, readModel } from "./models.mjs";
import { crc32, readNpz, viewOf } from "./npy.mjs";
import { decodeString, encodeString } from "./range_coder.mjs";

export { TsenhError } from "./error.mjs";
export { readNpy, readNpz, writeNpy } from "./npy.mjs";
export { decodeString, encodeString } from "./range_coder.mjs";

const MAGIC = [0x54, 0x53, 0x46, 0x1a];
const VERSION = 1;
const HEADER_BYTES = 48;
const MAX_BLOCK_SIZE = 65536;
const FEATURES_PER_BYTE = 64; // More take a reader that asks for them.
const TOTAL = 65536;
const PACKINGS = ["shared", "separate"];

const damaged = (why) => new TsenhError(`the file is damaged: ${why}.`);

function member(files, name) {
  if (!files[name]) throw new TsenhError(`${name}: is missing.`);
  return files[name];
}

/** The weights, read when the first is asked for: `sq` has none. */
function archive(files) {
  let opened;
  return (name) => {
    opened ??= readNpz(member(files, "weights.npz"), "weights.npz");
    return opened(name);
  };
}

/** The entropy coder's tables: FORMAT.md, section 3. */
function readTables(bytes, codeDim) {
  const arrays = readNpz(bytes, "tables.npz");
  const [lower, cdf] = [arrays("lower"), arrays("cdf")];
  const bad = new TsenhError("tables.npz: not the tables of this codec.");
  if (lower.type !== "<i4" || cdf.type !== "<i4") throw bad;
  if (lower.shape.join() !== `${codeDim}`) throw bad;
  if (cdf.shape.length !== 2 || cdf.shape[0] !== codeDim) throw bad;
  const columns = cdf.shape[1];
  const tables = [];
  for (let j = 0; j < codeDim; j++) {
    const row = Int32Array.from(cdf.data.subarray(j * columns, (j + 1) * columns));
    const end = row.indexOf(TOTAL);
    const rises = row.every((v, k) => (k === 0 ? v === 0 : v > row[k - 1] || k > end));
    if (end < 1 || !rises || row.some((v, k) => k > end && v !== TOTAL)) throw bad;
    tables.push(row.slice(0, end + 1));
  }
  return { lower: Int32Array.from(lower.data), tables };
}

/**
 * Reads a codec.
 * @param {Record<string, Uint8Array>} files the contents of its run folder, by
 *   name: config.json, tables.npz, and weights.npz if it has one.
 */
export function loadCodec(files) {
  const weights = archive(files);
  const { config, model } = readModel(member(files, "config.json"), weights);
  const coder = readTables(member(files, "tables.npz"), model.codeDim);
  return { config, model, ...coder };
}

/**
 * Reads an enhancer.
 * @param {Record<string, Uint8Array>} files the contents of its run folder, by
 *   name; those of the codec in it begin with `high/`.
 */
export function loadEnhancer(files) {
  const inside = Object.entries(files).filter(([k]) => k.startsWith("high/"));
  const high = loadCodec(
    Object.fromEntries(inside.map(([k, v]) => [k.slice(5), v])),
  );
  return readEnhancer(member(files, "config.json"), archive(files), high);
}

// Payloads: the codes of a block.

function concatenate(parts) {
  const bytes = new Uint8Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Integers, little-endian, each of `width` bytes. */
function integers(values, width) {
  const bytes = new Uint8Array(values.length * width);
  values.forEach((value, i) => {
    let rest = value >>> 0;
    for (let k = 0; k < width; k++, rest = rest >>> 8) {
      bytes[i * width + k] = rest & 255;
    }
  });
  return bytes;
}

function pack(codec, codes, packing) {
  const { lower, tables } = codec;
  const dim = tables.length;
  const escaped = [];
  const symbols = codes.map((value, i) => {
    const j = i % dim;
    const escape = tables[j].length - 2;
    const symbol = value - lower[j];
    if (symbol >= 0 && symbol < escape) return symbol;
    escaped.push(value);
    return escape;
  });
  const table = (i) => tables[i % dim];
  const head = [integers([escaped.length], 4), integers(escaped, 4)];
  if (packing === 0) return concatenate([...head, encodeString(symbols, table)]);
  const strings = [];
  for (let start = 0; start < symbols.length; start += dim) {
    const own = symbols.subarray(start, start + dim);
    strings.push(encodeString(own, table));
  }
  const lengths = strings.map((string) => string.length);
  const longest = lengths.reduce((a, b) => Math.max(a, b));
  const width = longest < 256 ? 1 : longest < 65536 ? 2 : 4;
  return concatenate([
    ...head,
    integers([width], 1),
    integers(lengths, width),
    ...strings,
  ]);
}

function unpack(codec, payload, count, packing) {
  const { lower, tables, model } = codec;
  const dim = tables.length;
  const view = viewOf(payload);
  const short = damaged("a block ends within its lists");
  if (payload.length < 4) throw short;
  const numEscapes = view.getUint32(0, true);
  let at = 4 + 4 * numEscapes;
  if (at > payload.length) throw short;
  const symbols = new Int32Array(count * dim);
  if (packing === 0) {
    decodeString(payload.subarray(at), tables, symbols);
  } else {
    const width = payload[at++];
    if (width !== 1 && width !== 2 && width !== 4) {
      throw damaged("a block's lengths have no known width");
    }
    let start = at + width * count;
    if (start > payload.length) throw short;
    for (let i = 0; i < count; i++) {
      let length = 0;
      for (let k = width - 1; k >= 0; k--) {
        length = length * 256 + payload[at + i * width + k];
      }
      if (start + length > payload.length) throw short;
      const own = symbols.subarray(i * dim, (i + 1) * dim);
      decodeString(payload.subarray(start, start + length), tables, own);
      start += length;
    }
    if (start !== payload.length) {
      throw damaged("a block's strings are not as long as it says");
    }
  }
  let used = 0;
  for (let i = 0, j = 0; i < symbols.length; i++, j = j + 1 === dim ? 0 : j + 1) {
    if (symbols[i] < tables[j].length - 2) {
      symbols[i] += lower[j];
    } else {
      if (used === numEscapes) {
        throw damaged("a block lists fewer escaped values than it uses");
      }
      symbols[i] = view.getInt32(4 + 4 * used++, true);
    }
  }
  if (used !== numEscapes) {
    throw damaged("a block lists more escaped values than it uses");
  }
  model.check(symbols);
  return symbols;
}

// The file.

/** The bytes 8 to 43 but block_size and num_features: whose file it is. */
function owner(codec) {
  const half = (digest) =>
    Uint8Array.from({ length: 8 }, (_, i) =>
      parseInt(digest.slice(2 * i, 2 * i + 2), 16),
    );
  const { model, config } = codec;
  return {
    dimensions: integers([model.featureDim, model.codeDim], 4),
    digests: concatenate([
      half(config.codec_digest),
      half(config.table_digest),
    ]),
  };
}

const withCrc = (bytes) => concatenate([bytes, integers([crc32(bytes)], 4)]);
const same = (a, b) => a.length === b.length && a.every((x, i) => x === b[i]);

/**
 * A whole .tsf file of integer codes.
 * @param codec from `loadCodec`.
 * @param {Int32Array} codes [n, codeDim].
 */
export function compressCodes(codec, codes, options = {}) {
  const { packing = "shared", blockSize = 1024 } = options;
  const way = PACKINGS.indexOf(packing);
  if (way < 0) {
    throw new TsenhError(`packing is ${packing}, expected shared or separate.`);
  }
  if (!Number.isInteger(blockSize) || blockSize < 1 || blockSize > MAX_BLOCK_SIZE) {
    throw new TsenhError(`blockSize is ${blockSize}, expected 1 to 65536.`);
  }
  const dim = codec.model.codeDim;
  const count = codes.length / dim;
  if (!Number.isInteger(count) || count < 1) {
    throw new TsenhError(`expected one code of ${dim} integers or more.`);
  }
  codec.model.check(codes);
  const { dimensions, digests } = owner(codec);
  const header = concatenate([
    Uint8Array.of(...MAGIC, VERSION, way, 0, 0),
    dimensions,
    integers([blockSize, count, Math.floor(count / 2 ** 32)], 4),
    digests,
  ]);
  const parts = [withCrc(header)];
  const lengths = [];
  for (let start = 0; start < count; start += blockSize) {
    const end = Math.min(start + blockSize, count);
    const payload = pack(codec, codes.subarray(start * dim, end * dim), way);
    const head = integers([end - start, payload.length], 4);
    parts.push(head, integers([crc32(head, payload)], 4), payload);
    lengths.push(payload.length);
  }
  parts.push(withCrc(integers(lengths, 4)));
  return concatenate(parts);
}

/**
 * Integer codes of features.
 * @param {ArrayLike<number>} features [n, featureDim], finite.
 * @returns {Int32Array} [n, codeDim].
 */
export function encode(codec, features) {
  const dim = codec.model.featureDim;
  const n = features.length / dim;
  if (!Number.isInteger(n) || n < 1) {
    throw new TsenhError(`expected one feature of ${dim} numbers or more.`);
  }
  const array = Float64Array.from(features);
  if (!array.every(Number.isFinite)) {
    throw new TsenhError("a feature is not finite.");
  }
  const values = codec.model.encode(array, n);
  const codes = Int32Array.from(values);
  if (values.some((v, i) => v !== codes[i])) {
    throw new TsenhError("a code is beyond 32 bits: not features of this codec.");
  }
  return codes;
}

/** A whole .tsf file of features; see `encode` and `compressCodes`. */
export function compress(codec, features, options = {}) {
  return compressCodes(codec, encode(codec, features), options);
}

/** Checks a file's header and its size; see FORMAT.md, section 6. */
function readHeader(codec, data) {
  if (!same(data.subarray(0, 4), MAGIC)) throw new TsenhError("not a .tsf file.");
  if (data.length < HEADER_BYTES) throw damaged("it ends within its header");
  if (data[4] !== VERSION) {
    throw new TsenhError(
      `a .tsf file of version ${data[4]}, expected ${VERSION}.`,
    );
  }
  const view = viewOf(data);
  if (crc32(data.subarray(0, 44)) !== view.getUint32(44, true)) {
    throw damaged("its header");
  }
  const packing = data[5];
  const blockSize = view.getUint32(16, true);
  const count = view.getUint32(20, true) + view.getUint32(24, true) * 2 ** 32;
  const reserved = view.getUint16(6, true);
  if (packing > 1 || reserved || !blockSize || blockSize > MAX_BLOCK_SIZE || !count) {
    throw damaged("its header holds values that no writer writes");
  }
  const { dimensions, digests } = owner(codec);
  if (
    !same(data.subarray(8, 16), dimensions) ||
    !same(data.subarray(28, 44), digests)
  ) {
    throw new TsenhError("written with another codec or other tables.");
  }
  const blocks = Math.ceil(count / blockSize);
  if (HEADER_BYTES + 16 * blocks + 4 > data.length) {
    throw damaged("it is too short for its features");
  }
  return { packing, blockSize, count, blocks };
}

/** Yields the codes of each block, Int32Array [k, codeDim], verified. */
export function* readBlocks(codec, data) {
  const { packing, blockSize, count, blocks } = readHeader(codec, data);
  const view = viewOf(data);
  const lengths = [];
  let at = HEADER_BYTES;
  for (let block = 0; block < blocks; block++) {
    if (at + 12 > data.length) throw damaged("it ends within a block");
    const expected = Math.min(blockSize, count - block * blockSize);
    const found = view.getUint32(at, true);
    const length = view.getUint32(at + 4, true);
    const longest = expected * (6 * codec.model.codeDim + 16) + 16;
    const payload = data.subarray(at + 12, at + 12 + length);
    if (
      found !== expected ||
      length > longest ||
      payload.length !== length ||
      crc32(data.subarray(at, at + 8), payload) !== view.getUint32(at + 8, true)
    ) {
      throw damaged("a block");
    }
    yield unpack(codec, payload, expected, packing);
    lengths.push(length);
    at += 12 + length;
  }
  if (!same(data.subarray(at), withCrc(integers(lengths, 4)))) {
    throw damaged("its index, which is cut off or followed by more");
  }
}

/**
 * The features of a whole .tsf file.
 * @param codec what wrote it, from `loadCodec`.
 * @param {Uint8Array} data
 * @param {{enhancer?: object, maxFeatures?: number}} options
 * @returns {{features: Float32Array, count: number, dim: number}}
 */
export function decompress(codec, data, options = {}) {
  const { enhancer, maxFeatures = FEATURES_PER_BYTE * data.length } = options;
  if (enhancer && enhancer.config.low_digest !== codec.config.codec_digest) {
    throw new TsenhError("the enhancer is for another codec's codes.");
  }
  const { count } = readHeader(codec, data);
  if (count > maxFeatures) {
    throw new TsenhError(
      `holds ${count} features, more than the ${maxFeatures} asked for at most.`,
    );
  }
  const decoder = enhancer ?? codec.model;
  const dim = decoder.featureDim;
  const features = new Float32Array(count * dim);
  let row = 0;
  for (const codes of readBlocks(codec, data)) {
    decoder.check(codes);
    const n = codes.length / codec.model.codeDim;
    features.set(decoder.decode(codes, n), row * dim);
    row += n;
  }
  return { features, count, dim };
}
