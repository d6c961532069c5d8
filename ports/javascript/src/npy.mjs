/** NumPy's .npy arrays and .npz archives (FORMAT.md, section 1). */

import { TsenhError } from "./error.mjs";

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
const MAX_HEADER = 65535;

// How an element is read, and its bytes.
const TYPES = {
  "<f2": [(view, at) => fromHalf(view.getUint16(at, true)), 2],
  "<f4": [(view, at) => view.getFloat32(at, true), 4],
  "<f8": [(view, at) => view.getFloat64(at, true), 8],
  "<i4": [(view, at) => view.getInt32(at, true), 4],
};

/** A half-precision number of its 16 bits. */
export function fromHalf(bits) {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const sign = bits >> 15 ? -1 : 1;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

export function viewOf(bytes) {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * Reads a .npy file.
 * @param {Uint8Array} bytes the whole file, and nothing behind it.
 * @param {string} name for messages.
 * @returns {{data: Float64Array, shape: number[], type: string}} the elements
 *   in C order, whatever their type.
 */
export function readNpy(bytes, name) {
  const fail = (why) => {
    throw new TsenhError(`${name}: ${why}.`);
  };
  if (bytes.length < 10 || MAGIC.some((byte, i) => bytes[i] !== byte)) {
    fail("not a .npy file");
  }
  const view = viewOf(bytes);
  const version = bytes[6];
  if (version !== 1 && version !== 2) fail(`.npy version ${version} is unknown`);
  if (version === 2 && bytes.length < 12) fail("the header is cut off");
  const start = version === 1 ? 10 : 12;
  const length =
    version === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (length > MAX_HEADER || start + length > bytes.length) {
    fail("the header is cut off or too long");
  }
  const text = String.fromCharCode(...bytes.subarray(start, start + length));
  const type = /'descr': *'([^']*)'/.exec(text)?.[1];
  const order = /'fortran_order': *(True|False)/.exec(text)?.[1];
  const shapeText = /'shape': *\(((?:\d{1,15},? *)*)\)/.exec(text)?.[1];
  if (type === undefined || order === undefined || shapeText === undefined) {
    fail("the header is damaged");
  }
  if (!Object.hasOwn(TYPES, type)) fail(`elements of type ${type} are not read here`);
  if (order === "True") fail("in Fortran order, expected C order");
  const shape = (shapeText.match(/\d+/g) ?? []).map(Number);
  const [read, size] = TYPES[type];
  const count = shape.reduce((product, n) => product * n, 1);
  if (start + length + count * size !== bytes.length) {
    fail("not as long as its shape says");
  }
  const data = new Float64Array(count);
  for (let i = 0, at = start + length; i < count; i++, at += size) {
    data[i] = read(view, at);
  }
  return { data, shape, type };
}

/**
 * Makes a .npy file of float32 [rows, dim].
 * @param {Float32Array} data its elements in C order.
 * @param {number[]} shape
 * @returns {Uint8Array}
 */
export function writeNpy(data, shape) {
  const tuple = shape.join(", ") + (shape.length === 1 ? "," : "");
  let text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${tuple}), }`;
  text = text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11) + "\n";
  const bytes = new Uint8Array(10 + text.length + 4 * data.length);
  bytes.set([...MAGIC, 1, 0, text.length & 255, text.length >> 8]);
  bytes.set([...text].map((c) => c.charCodeAt(0)), 10);
  const view = viewOf(bytes);
  data.forEach((x, i) => view.setFloat32(10 + text.length + 4 * i, x, true));
  return bytes;
}

const END = 0x06054b50;
const ENTRY = 0x02014b50;
const LOCAL = 0x04034b50;

/**
 * Where the members of a zip archive are, such as a .npz, by name.
 * @param {Uint8Array} bytes the whole file.
 * @param {(why: string) => never} fail
 */
function directory(bytes, fail) {
  const view = viewOf(bytes);
  let end = bytes.length - 22;
  const least = Math.max(0, end - 65535);
  while (end >= least && view.getUint32(end, true) !== END) end--;
  if (end < least) fail("not a .npz file");
  const count = view.getUint16(end + 10, true);
  let at = view.getUint32(end + 16, true);
  const members = {};
  for (let i = 0; i < count; i++) {
    if (at + 46 > end || view.getUint32(at, true) !== ENTRY) {
      fail("the archive's directory is damaged");
    }
    const nameEnd = at + 46 + view.getUint16(at + 28, true);
    const name = String.fromCharCode(...bytes.subarray(at + 46, nameEnd));
    members[name] = {
      encrypted: view.getUint16(at + 8, true) & 1,
      method: view.getUint16(at + 10, true),
      crc: view.getUint32(at + 16, true),
      packed: view.getUint32(at + 20, true),
      size: view.getUint32(at + 24, true),
      local: view.getUint32(at + 42, true),
    };
    const extra = view.getUint16(at + 30, true);
    at = nameEnd + extra + view.getUint16(at + 32, true);
  }
  return members;
}

/** The content of a member. */
function content(bytes, found, inflate, fail) {
  const { encrypted, method, crc, packed, size, local } = found;
  const view = viewOf(bytes);
  if (encrypted) fail("it is encrypted");
  if (local + 30 > bytes.length || view.getUint32(local, true) !== LOCAL) {
    fail("the archive's directory is damaged");
  }
  const names = view.getUint16(local + 26, true);
  const start = local + 30 + names + view.getUint16(local + 28, true);
  if (start + packed > bytes.length) fail("it is cut off");
  let member = bytes.subarray(start, start + packed);
  if (method === 8 && inflate) {
    try {
      member = inflate(member, size);
    } catch {
      fail("it is damaged");
    }
  } else if (method !== 0) {
    fail("it is compressed, expected a stored one");
  }
  if (member.length !== size || crc32(member) !== crc) fail("it is damaged");
  return member;
}

/**
 * A .npz, whose arrays are read when they are asked for.
 * @param {Uint8Array} bytes the whole file.
 * @param {string} name for messages.
 * @param {(packed: Uint8Array, size: number) => Uint8Array} [inflate] for
 *   deflated members (raw); a run folder has none.
 * @returns {(key: string) => ReturnType<typeof readNpy>}
 */
export function readNpz(bytes, name, inflate) {
  const failing = (prefix) => (why) => {
    throw new TsenhError(`${prefix}: ${why}.`);
  };
  const members = directory(bytes, failing(name));
  return (key) => {
    const whole = `${name}: ${key}`;
    if (!Object.hasOwn(members, `${key}.npy`)) failing(whole)("is not in it");
    const found = members[`${key}.npy`];
    return readNpy(content(bytes, found, inflate, failing(whole)), whole);
  };
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let c = byte;
  for (let bit = 0; bit < 8; bit++) c = (c >>> 1) ^ (c & 1 ? 0xedb88320 : 0);
  return c;
});

/** CRC-32 as in zlib, of byte arrays one after the other. */
export function crc32(...parts) {
  let c = 0xffffffff;
  for (const bytes of parts) {
    for (let i = 0; i < bytes.length; i++) {
      c = (c >>> 8) ^ CRC_TABLE[(c ^ bytes[i]) & 255];
    }
  }
  return (c ^ 0xffffffff) >>> 0;
}
