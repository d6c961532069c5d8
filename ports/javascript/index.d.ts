/** Reads and writes .tsf files of compressed face features (FORMAT.md). */

/** What is wrong with an input, in one sentence. */
export class TsenhError extends Error {}

/** The contents of a run folder by name: `config.json`, `tables.npz`, … */
export type Files = Record<string, Uint8Array>;

export interface Codec {
  readonly config: Readonly<Record<string, unknown>>;
  readonly model: { readonly featureDim: number; readonly codeDim: number };
}

export interface Enhancer {
  readonly config: Readonly<Record<string, unknown>>;
  readonly featureDim: number;
  /** c_enh, [n, high_dim], of codes [n, low_dim] (Eq. 3). */
  enhance(codes: ArrayLike<number>, n: number): Float64Array;
}

export interface WriteOptions {
  /** The smallest, or one string a feature. Default: shared. */
  packing?: "shared" | "separate";
  /** Features per block, 1 to 65,536. Default: 1,024. */
  blockSize?: number;
}

export interface ReadOptions {
  /** Decode with it in place of the codec's own decoder. */
  enhancer?: Enhancer;
  /** Refuse a file of more features. Default: 64 for each of its bytes. */
  maxFeatures?: number;
}

export interface Features {
  /** [count, dim], one feature behind the other. */
  features: Float32Array;
  count: number;
  dim: number;
}

/** A codec of its run folder's files. Throws a TsenhError if it is damaged. */
export function loadCodec(files: Files): Codec;

/** An enhancer; the names of the high-rate codec's files begin with `high/`. */
export function loadEnhancer(files: Files): Enhancer;

/** Integer codes [n, codeDim] of finite features [n, featureDim]. */
export function encode(codec: Codec, features: ArrayLike<number>): Int32Array;

/** The bytes of a .tsf file of features [n, featureDim]. */
export function compress(
  codec: Codec,
  features: ArrayLike<number>,
  options?: WriteOptions,
): Uint8Array;

/** The bytes of a .tsf file of integer codes [n, codeDim]. */
export function compressCodes(
  codec: Codec,
  codes: Int32Array,
  options?: WriteOptions,
): Uint8Array;

/** The features of a .tsf file. Throws a TsenhError if it is not whole. */
export function decompress(
  codec: Codec,
  data: Uint8Array,
  options?: ReadOptions,
): Features;

/** The codes of a .tsf file, block by block, each verified. */
export function readBlocks(
  codec: Codec,
  data: Uint8Array,
): Generator<Int32Array>;

export interface NpyArray {
  /** The elements in C order, whatever their type. */
  data: Float64Array;
  shape: number[];
  /** NumPy's name: `<f2`, `<f4`, `<f8` or `<i4`. */
  type: string;
}

export function readNpy(bytes: Uint8Array, name: string): NpyArray;

/** A .npz, whose arrays are read when they are asked for. */
export function readNpz(
  bytes: Uint8Array,
  name: string,
  inflate?: (packed: Uint8Array, size: number) => Uint8Array,
): (key: string) => NpyArray;

export function writeNpy(data: Float32Array, shape: number[]): Uint8Array;

/** The range coder alone, for whoever ports it once more (section 4). */
export function encodeString(
  symbols: ArrayLike<number>,
  table: (i: number) => ArrayLike<number>,
): Uint8Array;
export function decodeString(
  string: Uint8Array,
  tables: ArrayLike<number>[],
  symbols: Int32Array,
): void;
