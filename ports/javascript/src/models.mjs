/**
 * What turns features into integer codes and back (FORMAT.md, sections 2, 7, 8).
 *
 * Everything is computed in double precision, rows of a batch one behind the
 * other in one array; decoded features are rounded to float32 at the end.
 */

import { TsenhError } from "./error.mjs";
import { roundHalfEven } from "./rounding.mjs";
import { nearest, standsFor } from "./trellis.mjs";

const FOLD = 2 ** -36;

/** A dense layer's product of [n, inputs] and the kernel, plus the bias. */
function affine(x, n, kernel, bias) {
  const outputs = bias.length;
  const inputs = kernel.length / outputs;
  const y = new Float64Array(n * outputs);
  let row = 0;
  // Four rows and two outputs at a time: each number that is read is used
  // several times.
  for (; row + 4 <= n; row += 4) {
    const [x0, x1, x2, x3] = [0, 1, 2, 3].map((r) => (row + r) * inputs);
    for (let o = 0; o < outputs; o += 2) {
      const pair = o + 1 < outputs ? o + 1 : o;
      let [a0, a1, a2, a3] = [bias[o], bias[o], bias[o], bias[o]];
      let [b0, b1, b2, b3] = [bias[pair], bias[pair], bias[pair], bias[pair]];
      const ka = o * inputs;
      const kb = pair * inputs;
      for (let i = 0; i < inputs; i++) {
        const a = kernel[ka + i];
        const b = kernel[kb + i];
        a0 += a * x[x0 + i];
        a1 += a * x[x1 + i];
        a2 += a * x[x2 + i];
        a3 += a * x[x3 + i];
        b0 += b * x[x0 + i];
        b1 += b * x[x1 + i];
        b2 += b * x[x2 + i];
        b3 += b * x[x3 + i];
      }
      const at = row * outputs;
      y[at + o] = a0;
      y[at + outputs + o] = a1;
      y[at + 2 * outputs + o] = a2;
      y[at + 3 * outputs + o] = a3;
      y[at + pair] = b0;
      y[at + outputs + pair] = b1;
      y[at + 2 * outputs + pair] = b2;
      y[at + 3 * outputs + pair] = b3;
    }
  }
  for (; row < n; row++) {
    for (let o = 0; o < outputs; o++) {
      let sum = bias[o];
      for (let i = 0; i < inputs; i++) {
        sum += kernel[o * inputs + i] * x[row * inputs + i];
      }
      y[row * outputs + o] = sum;
    }
  }
  return y;
}

/** A matrix [rows, columns] in C order, transposed. */
function transposed(matrix, rows, columns) {
  const result = new Float64Array(matrix.length);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) {
      result[c * rows + r] = matrix[r * columns + c];
    }
  }
  return result;
}

/** An array of a .npz, whose shape and type must be these. */
function weight(weights, name, shape, type) {
  const array = weights(name);
  if (array.type !== type || array.shape.join() !== shape.join()) {
    throw new TsenhError(`weights.npz: ${name} is not of its configuration.`);
  }
  if (!array.data.every(Number.isFinite)) {
    throw new TsenhError(`weights.npz: ${name} is not finite.`);
  }
  return array.data;
}

function dense(weights, name, inputs, outputs) {
  const stored = weight(weights, `${name}/kernel`, [inputs, outputs], "<f4");
  const kernel = transposed(stored, inputs, outputs);
  const bias = weight(weights, `${name}/bias`, [outputs], "<f4");
  return (x, n) => affine(x, n, kernel, bias);
}

function gdn(weights, name, dim, form, inverse) {
  const unfold = (stored, least) => {
    const floor = Math.sqrt(least + FOLD);
    return stored.map((v) => Math.max(v, floor) ** 2 - FOLD);
  };
  const part = (key, shape) =>
    weight(weights, `${name}/reparam_${key}`, shape, "<f4");
  const beta = unfold(part("beta", [dim]), 1e-6);
  const gamma = unfold(transposed(part("gamma", [dim, dim]), dim, dim), 0);
  const classic = form === "classic";
  return (x, n) => {
    const powers = classic ? x.map((v) => v * v) : x.map(Math.abs);
    const pool = affine(powers, n, gamma, beta);
    for (let i = 0; i < pool.length; i++) {
      const p = classic ? Math.sqrt(pool[i]) : pool[i];
      pool[i] = inverse ? x[i] * p : x[i] / p;
    }
    return pool;
  };
}

const inTurn = (layers) => (x, n) => layers.reduce((y, f) => f(y, n), x);

/** Numbers of a config.json, each checked. */
function configured(config, checks) {
  for (const [key, isGood] of Object.entries(checks)) {
    if (!isGood(config[key])) {
      const found = JSON.stringify(config[key]);
      throw new TsenhError(`config.json: ${key} is ${found}.`);
    }
  }
}

const isDimension = (x) => Number.isInteger(x) && x > 0 && x < 65536;
const isPositive = (x) => Number.isFinite(x) && x > 0;
const isGdn = (x) => x === "classic" || x === "tfc";
const isTrellis = (x) => x === undefined || typeof x === "boolean";
const isDigest = (x) => typeof x === "string" && /^[0-9a-f]{64}$/.test(x);

/** The largest magnitude of a code's element, for a clip. */
function checkClip(codes, clip) {
  const limit = roundHalfEven(clip);
  if (codes.some((v) => v > limit || v < -limit)) {
    throw new TsenhError("a code's element is beyond the codec's clip.");
  }
}

/** The learned codec. */
function pro(config, weights) {
  configured(config, {
    feature_dim: isDimension,
    code_dim: isDimension,
    hidden_dim: isDimension,
    clip: isPositive,
    gdn: isGdn,
    gdn_layers: (x) => x === 1 || x === 2,
  });
  const { feature_dim, code_dim, hidden_dim, clip, gdn: form } = config;
  const encoder = [
    dense(weights, "encoder/fc1", feature_dim, hidden_dim),
    gdn(weights, "encoder/gdn", hidden_dim, form, false),
    dense(weights, "encoder/fc2", hidden_dim, code_dim),
  ];
  const decoder = [
    dense(weights, "decoder/fc1", code_dim, hidden_dim),
    gdn(weights, "decoder/gdn", hidden_dim, form, true),
    dense(weights, "decoder/fc2", hidden_dim, feature_dim),
  ];
  if (config.gdn_layers === 2) {
    encoder.push(gdn(weights, "encoder/gdn_code", code_dim, form, false));
    decoder.unshift(gdn(weights, "decoder/gdn_code", code_dim, form, true));
  }
  const latent = inTurn(encoder);
  const decodeLatent = inTurn(decoder);
  return {
    featureDim: feature_dim,
    codeDim: code_dim,
    encode: (features, n) =>
      latent(features, n).map((c) =>
        roundHalfEven(Math.min(Math.max(c, -clip), clip)),
      ),
    check: (codes) => checkClip(codes, clip),
    decode: (codes, n) => decodeLatent(Float64Array.from(codes), n),
    decodeLatent,
  };
}

/** Scalar quantization. */
function sq(config) {
  configured(config, {
    feature_dim: isDimension,
    qp: Number.isFinite,
    reconstruction: (x) => x === "lower" || x === "middle",
  });
  const step = 2 ** ((config.qp - 4) / 6 - 10);
  const shift = config.reconstruction === "middle" ? 0.5 : 0;
  return {
    featureDim: config.feature_dim,
    codeDim: config.feature_dim,
    encode: (features) => features.map((f) => Math.floor(f / step)),
    check: () => {},
    decode: (codes) => Float64Array.from(codes, (c) => (c + shift) * step),
  };
}

/** A linear transform and one step; with `code_dim` another one back. */
function pca(config, weights) {
  const { feature_dim: dim, code_dim: codes = dim, step } = config;
  const own = {
    feature_dim: isDimension,
    step: isPositive,
    trellis: isTrellis,
  };
  if ("code_dim" in config) own.code_dim = isDimension;
  configured(config, own);
  const mean = weight(weights, "mean", [dim], "<f8");
  const components = weight(weights, "components", [dim, codes], "<f8");
  const forward = transposed(components, dim, codes);
  const back = own.code_dim
    ? transposed(
        weight(weights, "reconstruction", [codes, dim], "<f8"),
        codes,
        dim,
      )
    : components;
  return linear(config, codes, mean, back, (centred, n) =>
    affine(centred, n, forward, new Float64Array(codes)),
  );
}

/** A linear transform to which a hidden layer of the sender adds. */
function ahead(config, weights) {
  const { feature_dim: dim, code_dim: codes, hidden_dim: units } = config;
  configured(config, {
    feature_dim: isDimension,
    code_dim: isDimension,
    hidden_dim: isDimension,
    step: isPositive,
    trellis: isTrellis,
  });
  const matrix = (name, ins, outs) =>
    transposed(weight(weights, name, [ins, outs], "<f8"), ins, outs);
  const mean = weight(weights, "mean", [dim], "<f8");
  const forward = matrix("components", dim, codes);
  const back = matrix("reconstruction", codes, dim);
  const hidden = matrix("hidden", dim, units);
  const bias = weight(weights, "bias", [units], "<f8");
  const output = matrix("output", units, codes);
  const zero = new Float64Array(codes);
  return linear(config, codes, mean, back, (centred, n) => {
    const active = affine(centred, n, hidden, bias).map((x) => Math.max(x, 0));
    const added = affine(active, n, output, zero);
    return affine(centred, n, forward, zero).map((c, i) => c + added[i]);
  });
}

/** What codecs share whose receiver is a matrix and a step. */
function linear(config, codeDim, mean, back, latent) {
  const { feature_dim: dim, step, trellis } = config;
  return {
    featureDim: dim,
    codeDim,
    encode: (features, n) => {
      const centred = features.map((f, i) => f - mean[i % dim]);
      const places = latent(centred, n).map((c) => c / step);
      return trellis ? nearest(places, codeDim) : places.map(roundHalfEven);
    },
    check: () => {},
    decode: (codes, n) => {
      const values = trellis ? standsFor(codes, codeDim) : codes;
      const scaled = Float64Array.from(values, (v) => step * v);
      return affine(scaled, n, back, mean);
    },
  };
}

const KINDS = { pro, sq, pca, ahead };

/** A run's config.json, which must be of a finished run of these kinds. */
export function readConfig(bytes, kinds) {
  let config;
  try {
    config = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    config = null;
  }
  if (config === null || typeof config !== "object") {
    throw new TsenhError("config.json: not a JSON object.");
  }
  if (config.status !== "finished") {
    throw new TsenhError("config.json: the run is unfinished.");
  }
  // Runs of version 0.1.0 do not say what they are.
  const isCodec = "codec_digest" in config && "lambda" in config;
  const old = "high_digest" in config ? "pro-e" : isCodec ? "pro" : "";
  const kind = config.kind ?? old;
  if (!kinds.includes(kind)) {
    throw new TsenhError(
      `config.json: the run of ${kind || "something"}, expected one of` +
        ` ${kinds.join(", ")}.`,
    );
  }
  return { ...config, kind };
}

/** The model of a codec's run. */
export function readModel(bytes, weights) {
  const config = readConfig(bytes, Object.keys(KINDS));
  configured(config, { codec_digest: isDigest, table_digest: isDigest });
  return { config, model: KINDS[config.kind](config, weights) };
}

/** An enhancer: the codes of a low-rate codec to features. */
export function readEnhancer(bytes, weights, high) {
  const config = { num_layers: 2, ...readConfig(bytes, ["pro-e"]) };
  configured(config, {
    low_dim: isDimension,
    high_dim: (x) => x === high.model.codeDim,
    hidden_dim: isDimension,
    low_clip: isPositive,
    high_clip: isPositive,
    gdn: isGdn,
    clip_enhanced: (x) => typeof x === "boolean",
    num_layers: (x) => Number.isInteger(x) && x >= 2 && x < 100,
    low_digest: isDigest,
    high_digest: (x) => x === high.config.codec_digest,
  });
  const { low_dim, high_dim, hidden_dim, low_clip, high_clip } = config;
  const layers = [dense(weights, "enhancer/fc1", low_dim, hidden_dim)];
  for (let i = 2; i <= config.num_layers; i++) {
    const name = `enhancer/${i === 2 ? "gdn" : `gdn${i - 1}`}`;
    const outputs = i === config.num_layers ? high_dim : hidden_dim;
    layers.push(gdn(weights, name, hidden_dim, config.gdn, false));
    layers.push(dense(weights, `enhancer/fc${i}`, hidden_dim, outputs));
  }
  const network = inTurn(layers);
  const enhance = (codes, n) => {
    const x = network(Float64Array.from(codes, (c) => c / low_clip), n);
    return x.map((v) => {
      const c = v * high_clip;
      if (!config.clip_enhanced) return c;
      return Math.min(Math.max(c, -high_clip), high_clip);
    });
  };
  return {
    config,
    featureDim: high.model.featureDim,
    enhance,
    check: (codes) => checkClip(codes, low_clip),
    decode: (codes, n) => high.model.decodeLatent(enhance(codes, n), n),
  };
}
