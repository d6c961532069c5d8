/**
 * The range coder (FORMAT.md, section 4), precision 16.
 *
 * All numbers are doubles: a product of `size`, at most 2^32, and a frequency,
 * at most 2^16, is exact in them, and bit operations, which cut to 32 bits, are
 * kept from what may be larger.
 */

import { TsenhError } from "./error.mjs";

const TWO_16 = 65536;
const TWO_32 = 4294967296;

/** The number that ends a string: rule 3 of the encoder's end. */
function roundUp(low, size) {
  const up = Math.ceil(low / 16777216) * 16777216;
  return up < low + size ? up : Math.ceil(low / TWO_16) * TWO_16;
}

/**
 * The string of some symbols.
 * @param {ArrayLike<number>} symbols
 * @param {(i: number) => Int32Array} table the table of symbol i: its
 *   cumulative frequencies, from 0 to 65,536.
 * @returns {Uint8Array}
 */
export function encodeString(symbols, table) {
  const digits = [];
  let low = 0;
  let size = TWO_32;
  const carry = () => {
    let i = digits.length - 1;
    while (digits[i] === 65535) digits[i--] = 0;
    digits[i]++;
  };
  for (let i = 0; i < symbols.length; i++) {
    const cdf = table(i);
    const first = Math.floor((size * cdf[symbols[i]]) / TWO_16);
    const end = Math.floor((size * cdf[symbols[i] + 1]) / TWO_16);
    low += first;
    size = end - first;
    if (low >= TWO_32) {
      carry();
      low -= TWO_32;
    }
    if (size <= TWO_16) {
      digits.push(Math.floor(low / TWO_16));
      low = (low % TWO_16) * TWO_16;
      size *= TWO_16;
    }
  }
  let tail = [];
  if (low !== 0) {
    if (low + size > TWO_32) {
      carry();
    } else {
      const up = roundUp(low, size);
      tail = [Math.floor(up / TWO_16), up % TWO_16];
    }
  }
  const bytes = [...digits, ...tail].flatMap((d) => [d >> 8, d & 255]);
  if (low !== 0) while (bytes.at(-1) === 0) bytes.pop();
  return Uint8Array.from(bytes);
}

/**
 * The symbols of a string.
 * @param {Uint8Array} string
 * @param {Int32Array[]} tables of the symbols, used in turn again and again.
 * @param {Int32Array} symbols takes them.
 */
export function decodeString(string, tables, symbols) {
  const byte = (i) => (i < string.length ? string[i] : 0);
  let value = (byte(0) * 256 + byte(1)) * TWO_16 + byte(2) * 256 + byte(3);
  let position = 4;
  let low = 0;
  let size = TWO_32;
  for (let i = 0, t = 0; i < symbols.length; i++) {
    const cdf = tables[t];
    t = t + 1 === tables.length ? 0 : t + 1;
    let offset = value - low;
    if (offset < 0) offset += TWO_32;
    // The symbol is the last that begins at or before the offset.
    const wanted = (offset + 1) * TWO_16;
    let s = 0;
    let above = cdf.length - 1;
    while (above - s > 1) {
      const middle = (s + above) >> 1;
      if (size * cdf[middle] < wanted) s = middle;
      else above = middle;
    }
    symbols[i] = s;
    const first = Math.floor((size * cdf[s]) / TWO_16);
    size = Math.floor((size * cdf[s + 1]) / TWO_16) - first;
    low += first;
    if (low >= TWO_32) low -= TWO_32;
    if (size <= TWO_16) {
      low = (low % TWO_16) * TWO_16;
      size *= TWO_16;
      const digit = byte(position) * 256 + byte(position + 1);
      value = (value % TWO_16) * TWO_16 + digit;
      position += 2;
    }
  }
  const straddles = low === 0 || low + size > TWO_32;
  const expected = straddles ? 0 : roundUp(low, size);
  if (value !== expected || position < string.length) {
    throw new TsenhError("a block's string does not end where its codes do.");
  }
}
