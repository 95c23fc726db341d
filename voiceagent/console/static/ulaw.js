// @ts-check
// µ-law (ITU-T G.711) to samples and back. Used by the worklets, too.

const BIAS = 0x84;
const CLIP = 32635;

/** The sample (−1 to 1) of each code. */
export const SAMPLE_OF = Float32Array.from({ length: 256 }, (_, at) => {
  const code = ~at & 0xff;
  const size = (((code & 0x0f) << 3) + BIAS) << ((code & 0x70) >> 4);
  return (code & 0x80 ? BIAS - size : size - BIAS) / 32768;
});

export const SILENCE = 0xff;

/** @param {number} sample −1 to 1; louder is clipped */
export function codeOf(sample) {
  const linear = Math.round(sample * 32768);
  const sign = linear < 0 ? 0x80 : 0;
  const size = Math.min(Math.abs(linear), CLIP) + BIAS;
  const exponent = 31 - Math.clz32(size) - 7;
  return ~(sign | (exponent << 4) | ((size >> (exponent + 3)) & 0x0f)) & 0xff;
}
