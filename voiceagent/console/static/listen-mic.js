// @ts-check
// AudioWorklet: the microphone at the context's rate as frames of 20 ms of 8 kHz µ-law.
import { SILENCE, codeOf } from "./ulaw.js";

const RATE = 8000;
const FRAME = 160;
/** Half the filter's length, in samples of 8 kHz. */
const REACH = 10;
const PHASES = 32;
/** What a telephone lets through, as a part of its sampling rate: 3.6 kHz. */
const CUT = 0.45;

class Microphone extends AudioWorkletProcessor {
  constructor() {
    super();
    this.ratio = sampleRate / RATE;
    this.half = Math.ceil(REACH * this.ratio);
    this.filters = Array.from({ length: PHASES }, (_, phase) => filter(this.ratio, this.half, phase / PHASES));
    this.input = new Float32Array(0);
    /** Place of the next 8 kHz sample in the input. */
    this.at = this.half;
    this.frame = new Uint8Array(FRAME);
    this.filled = 0;
    this.muted = false;
    this.power = 0;
    this.port.onmessage = ({ data }) => (this.muted = Boolean(data.muted));
  }

  /** @param {Float32Array[][]} inputs */
  process(inputs) {
    const fresh = inputs[0]?.[0] ?? new Float32Array(128);
    const all = new Float32Array(this.input.length + fresh.length);
    all.set(this.input);
    all.set(fresh, this.input.length);
    while (this.at + this.half + 1 < all.length) {
      this.put(this.read(all));
      this.at += this.ratio;
    }
    const done = Math.max(0, Math.floor(this.at) - this.half);
    this.input = all.slice(done);
    this.at -= done;
    return true;
  }

  /** @param {Float32Array} all */
  read(all) {
    const base = Math.floor(this.at);
    const taps = this.filters[Math.floor((this.at - base) * PHASES)];
    let sum = 0;
    for (let index = 0; index < taps.length; index++) sum += all[base - this.half + index] * taps[index];
    return sum;
  }

  /** @param {number} sample */
  put(sample) {
    this.frame[this.filled++] = this.muted ? SILENCE : codeOf(sample);
    this.power += this.muted ? 0 : sample * sample;
    if (this.filled < FRAME) return;
    this.port.postMessage({ frame: this.frame, level: Math.sqrt(this.power / FRAME) });
    this.frame = new Uint8Array(FRAME);
    this.filled = 0;
    this.power = 0;
  }
}

/** A low-pass (windowed sinc) around a place `part` of a sample after the middle. @param {number} ratio @param {number} half @param {number} part */
function filter(ratio, half, part) {
  const taps = Float32Array.from({ length: 2 * half + 1 }, (_, index) => {
    const away = (index - half - part) / ratio;
    const turn = 2 * Math.PI * CUT * away;
    const sinc = away === 0 ? 2 * CUT : Math.sin(turn) / (Math.PI * away);
    return sinc * (0.5 + 0.5 * Math.cos((Math.PI * away) / (REACH + 1)));
  });
  const sum = taps.reduce((all, one) => all + one, 0);
  return taps.map((one) => one / sum);
}
registerProcessor("va-microphone", Microphone);
