/** What is wrong with an input, in one sentence for its user. */
export class TsenhError extends Error {
  name = "TsenhError";
}
