/** Trellis-coded quantization, section 7 of FORMAT.md. */

import { roundHalfEven } from "./rounding.mjs";

const OFFSET = 0.25;

/** What integers of codes of `dim` elements stand for, in steps. */
export function standsFor(codes, dim) {
  const values = new Float64Array(codes.length);
  const odd = new Uint8Array(dim);
  for (let start = 0; start < codes.length; start += dim) {
    for (let j = 0; j < dim; j++) {
      // Of the codes one, three, five and so on places before.
      odd[j] = j ? (codes[start + j - 1] & 1) ^ (j > 1 ? odd[j - 2] : 0) : 0;
      const value = codes[start + j] + OFFSET;
      values[start + j] = odd[j] ? -value : value;
    }
  }
  return values;
}

/**
 * The integers that stand for the values nearest to places: Viterbi's algorithm.
 *
 * A state is whether this element is mirrored (2), and whether the next one would
 * be, were this one's integer even (1).
 */
export function nearest(places, dim) {
  const codes = new Float64Array(places.length);
  // The integer, and the state before it, of the best way to each state.
  const taken = new Float64Array(4 * dim);
  const before = new Uint8Array(4 * dim);
  for (let start = 0; start < places.length; start += dim) {
    let errors = [0, Infinity, Infinity, Infinity];
    for (let j = 0; j < dim; j++) {
      const next = [Infinity, Infinity, Infinity, Infinity];
      for (let state = 0; state < 4; state++) {
        const mirrored = state >> 1;
        const x = places[start + j];
        const place = (mirrored ? -x : x) - OFFSET;
        for (const parity of [0, 1]) {
          const code = 2 * roundHalfEven((place - parity) / 2) + parity;
          const to = mirrored + 2 * ((state & 1) ^ parity);
          const error = errors[state] + (place - code) ** 2;
          if (error < next[to]) {
            next[to] = error;
            taken[4 * j + to] = code;
            before[4 * j + to] = state;
          }
        }
      }
      errors = next;
    }
    let state = errors.indexOf(Math.min(...errors));
    for (let j = dim - 1; j >= 0; j--) {
      codes[start + j] = taken[4 * j + state];
      state = before[4 * j + state];
    }
  }
  return codes;
}
