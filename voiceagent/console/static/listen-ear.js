// @ts-check
// AudioWorklet: both sides of a call, 8 kHz frames with their places in time, as sound at the context's rate.
// Left is the caller, right the agent, each a little on the other side, too.
import { SAMPLE_OF } from "./ulaw.js";

const RATE = 8000;
const FRAME = 160;
const SIZE = 32768;
/** What waits before it is played, in samples: 100 ms. */
const LEAD = 800;
/** More than that has piled up: jump ahead. */
const MOST = 4000;
const ACROSS = 0.35;
const TELL_EVERY_S = 0.06;

class Ear extends AudioWorkletProcessor {
  constructor() {
    super();
    this.sides = [new Float32Array(SIZE), new Float32Array(SIZE)];
    /** Place of the next sample to play; null until there is enough. @type {number | null} */
    this.at = null;
    this.newest = -1;
    this.underruns = 0;
    this.sums = [0, 0];
    this.count = 0;
    this.tellAt = 0;
    this.port.onmessage = ({ data }) => this.take(data);
  }

  /** @param {{track: number, place: number, codes: Uint8Array}} frame */
  take({ track, place, codes }) {
    const side = this.sides[track];
    if (!side || (this.at !== null && place < this.at - LEAD)) return;
    if (place > this.newest + SIZE / 2) this.begin();
    for (let index = 0; index < FRAME; index++) side[(place + index) % SIZE] = SAMPLE_OF[codes[index]];
    this.newest = Math.max(this.newest, place + FRAME);
  }

  begin() {
    for (const side of this.sides) side.fill(0);
    this.at = null;
  }

  /** @param {Float32Array[][]} _inputs @param {Float32Array[][]} outputs */
  process(_inputs, outputs) {
    const [left, right] = outputs[0];
    if (this.at === null && this.newest >= LEAD) this.at = this.newest - LEAD;
    if (this.at === null) return true;
    if (this.newest - this.at > MOST) this.skip(this.newest - LEAD);
    const step = RATE / sampleRate;
    for (let index = 0; index < left.length; index++) {
      if (this.at + 3 > this.newest) {
        // Nothing more is there: wait until there is a lead again.
        this.underruns += 1;
        this.at = null;
        break;
      }
      const caller = this.read(0, this.at);
      const agent = this.read(1, this.at);
      left[index] = caller + ACROSS * agent;
      right[index] = agent + ACROSS * caller;
      this.sums[0] += caller * caller;
      this.sums[1] += agent * agent;
      this.count += 1;
      this.skip(this.at + step);
    }
    this.tell();
    return true;
  }

  /** Go on to a place; what lies behind is silence for whatever comes there next. @param {number} to */
  skip(to) {
    for (let place = Math.floor(/** @type {number} */ (this.at)) - 1; place < Math.floor(to) - 1; place++)
      for (const side of this.sides) side[(place + SIZE) % SIZE] = 0;
    this.at = to;
  }

  /** A cubic through four samples (Catmull-Rom). @param {number} track @param {number} at */
  read(track, at) {
    const side = this.sides[track];
    const base = Math.floor(at);
    const part = at - base;
    const before = side[(base - 1 + SIZE) % SIZE];
    const here = side[base % SIZE];
    const next = side[(base + 1) % SIZE];
    const after = side[(base + 2) % SIZE];
    const slope = (next - before) / 2;
    const slopeThen = (after - here) / 2;
    const rest = here - next;
    return here + part * (slope + part * (-3 * rest - 2 * slope - slopeThen + part * (2 * rest + slope + slopeThen)));
  }

  tell() {
    if (currentTime < this.tellAt) return;
    this.tellAt = currentTime + TELL_EVERY_S;
    const levels = this.sums.map((sum) => Math.sqrt(sum / Math.max(1, this.count)));
    this.port.postMessage({ levels, underruns: this.underruns });
    this.sums = [0, 0];
    this.count = 0;
  }
}
registerProcessor("va-ear", Ear);
