// @ts-check
// The picture of a time line on a canvas: two lanes, marks above them, waits and the clock below.
import { clock } from "./format.js";
import { SLOW_MS, visible } from "./timeline-model.js";

export const HEIGHT = 136;
export const GUTTER = 50;
const RIGHT = 10;
const LANE = 24;
export const MARKS_Y = 12;
export const CALLER_Y = 28;
export const AGENT_Y = 58;
export const WAITS_Y = 86;
const AXIS_Y = 112;
const STEPS = [0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];
const NAMES = ["ink", "quiet", "line", "ground", "caller", "heard", "unheard", "bad", "warn", "tool", "operator", "taken", "mark"];

/** @typedef {import("./timeline-model.js").Timeline} Timeline */
/** @typedef {Record<string, string>} Colours */

/** The colours that the style sheet gives, of the scheme in force. @param {Element} element @returns {Colours} */
export function coloursOf(element) {
  const style = getComputedStyle(element);
  const found = Object.fromEntries(NAMES.map((name) => [name, style.getPropertyValue(`--tl-${name}`).trim() || "gray"]));
  return { ...found, font: style.fontFamily };
}

/** Seconds to pixels and back. */
export class Scale {
  /** @param {number} from @param {number} to @param {number} width */
  constructor(from, to, width) {
    this.from = from;
    this.to = to;
    this.width = width;
    this.perSecond = Math.max(1, width - GUTTER - RIGHT) / Math.max(to - from, 0.001);
  }

  /** @param {number} t */
  x(t) {
    return GUTTER + (t - this.from) * this.perSecond;
  }

  /** @param {number} x */
  t(x) {
    return this.from + (x - GUTTER) / this.perSecond;
  }
}

/** @type {Record<string, [string, string]>} colour and shape by kind */
const SIGNS = {
  barge_in: ["bad", "triangle"],
  digit: ["caller", "square"],
  tool: ["tool", "diamond"],
  operator: ["operator", "dot"],
  hold: ["warn", "bars"],
  transfer: ["warn", "triangle"],
  listen: ["operator", "ring"],
  take_over: ["operator", "square"],
  recording: ["bad", "ring"],
  notice: ["mark", "ring"],
};

/**
 * @param {CanvasRenderingContext2D} pen scaled to CSS pixels
 * @param {Scale} scale @param {Timeline} line @param {Colours} colours @param {number | null} picked seconds
 */
export function draw(pen, scale, line, colours, picked) {
  const width = scale.width;
  const right = width - RIGHT;
  pen.clearRect(0, 0, width, HEIGHT);
  pen.font = `11px ${colours.font}`;
  pen.textBaseline = "middle";
  axis(pen, scale, colours, right);
  for (const [y, name] of /** @type {[number, string][]} */ ([[CALLER_Y, "Caller"], [AGENT_Y, "Agent"]])) {
    pen.fillStyle = colours.quiet;
    pen.fillText(name, 4, y + LANE / 2);
    pen.fillStyle = colours.ground;
    pen.fillRect(GUTTER, y, right - GUTTER, LANE);
  }
  pen.save();
  pen.beginPath();
  pen.rect(GUTTER - 7, 0, right - GUTTER + 14, HEIGHT);
  pen.clip();
  if (picked !== null) stroke(pen, scale.x(picked), 4, AXIS_Y, colours.ink);
  for (const mark of line.marks) stroke(pen, scale.x(mark.at), MARKS_Y + 7, AGENT_Y + LANE, colours.line);
  for (const [from, to] of line.operator ?? []) {
    bar(pen, scale, AGENT_Y, from, to, colours.taken);
    const room = scale.x(to) - scale.x(from);
    pen.fillStyle = colours.warn;
    if (room > pen.measureText("Operator").width + 12) pen.fillText("Operator", Math.max(scale.x(from), GUTTER) + 6, AGENT_Y + LANE / 2);
  }
  const hatch = hatching(pen, colours.unheard);
  for (const one of visible(line)) {
    bar(pen, scale, AGENT_Y, one.from, one.to, hatch);
    pen.strokeStyle = colours.unheard;
    pen.lineWidth = 1;
    const x = scale.x(one.from) + 0.5;
    pen.strokeRect(x, AGENT_Y + 0.5, Math.max(scale.x(one.to) - x - 0.5, 0.5), LANE - 1);
  }
  for (const one of line.heard) {
    bar(pen, scale, AGENT_Y, one.from, one.to, colours.heard);
    if (one.cut) {
      pen.fillStyle = colours.bad;
      pen.fillRect(scale.x(one.to) - 1, AGENT_Y - 3, 2.5, LANE + 6);
    }
  }
  for (const [from, to] of line.caller) bar(pen, scale, CALLER_Y, from, to, colours.caller);
  if (line.live) stroke(pen, scale.x(line.duration_s), CALLER_Y - 4, AGENT_Y + LANE + 4, colours.heard, 1.5);
  waits(pen, scale, line, colours);
  signs(pen, scale, line, colours);
  pen.restore();
}

/** @param {CanvasRenderingContext2D} pen @param {number} x @param {number} top @param {number} bottom @param {string} colour @param {number} [wide] */
function stroke(pen, x, top, bottom, colour, wide = 1) {
  pen.fillStyle = colour;
  pen.fillRect(Math.round(x), top, wide, bottom - top);
}

/** @param {CanvasRenderingContext2D} pen @param {Scale} scale @param {number} y @param {number} from @param {number} to @param {string | CanvasPattern} fill */
function bar(pen, scale, y, from, to, fill) {
  if (to < scale.from || from > scale.to) return;
  const x = scale.x(Math.max(from, scale.from));
  pen.fillStyle = fill;
  pen.beginPath();
  pen.roundRect(x, y, Math.max(scale.x(Math.min(to, scale.to)) - x, 1), LANE, 2);
  pen.fill();
}

/** @param {CanvasRenderingContext2D} pen @param {string} colour @returns {CanvasPattern | string} */
function hatching(pen, colour) {
  const tile = document.createElement("canvas");
  tile.width = tile.height = 6;
  const on = tile.getContext("2d");
  if (!on) return colour;
  on.strokeStyle = colour;
  on.lineWidth = 1.2;
  on.beginPath();
  for (const shift of [-6, 0, 6]) {
    on.moveTo(shift, 6);
    on.lineTo(shift + 6, 0);
  }
  on.stroke();
  return pen.createPattern(tile, "repeat") ?? colour;
}

/** @param {CanvasRenderingContext2D} pen @param {Scale} scale @param {Colours} colours @param {number} right */
function axis(pen, scale, colours, right) {
  const step = STEPS.find((one) => one * scale.perSecond >= 64) ?? 14400;
  pen.textAlign = "center";
  for (let t = Math.ceil(scale.from / step) * step; scale.x(t) <= right + 1; t += step) {
    stroke(pen, scale.x(t), CALLER_Y, AXIS_Y + 4, colours.line);
    pen.fillStyle = colours.quiet;
    const label = step < 1 ? `${clock(t)}.${Math.round((t % 1) * 10)}` : clock(t);
    const half = pen.measureText(label).width / 2;
    pen.fillText(label, Math.min(scale.x(t), scale.width - half - 1), AXIS_Y + 14);
  }
  pen.textAlign = "left";
}

/** How long the caller waited, where there is room for the number. @param {CanvasRenderingContext2D} pen @param {Scale} scale @param {Timeline} line @param {Colours} colours */
function waits(pen, scale, line, colours) {
  let free = GUTTER;
  for (const turn of line.turns) {
    const from = scale.x(turn.at);
    const to = scale.x(turn.at + turn.latency_ms / 1000);
    if (to < GUTTER || from > scale.width) continue;
    const slow = turn.latency_ms > SLOW_MS;
    pen.fillStyle = slow ? colours.warn : colours.quiet;
    pen.fillRect(from, WAITS_Y, Math.max(to - from, 1.5), slow ? 2.5 : 1.5);
    const label = `${(turn.latency_ms / 1000).toFixed(2)} s`;
    const wide = pen.measureText(label).width;
    const x = Math.max((from + to) / 2 - wide / 2, GUTTER);
    if (x < free) continue;
    pen.fillText(label, x, WAITS_Y + 11);
    free = x + wide + 5;
  }
}

/** @param {CanvasRenderingContext2D} pen @param {Scale} scale @param {Timeline} line @param {Colours} colours */
function signs(pen, scale, line, colours) {
  let last = -100;
  for (const mark of line.marks) {
    const x = scale.x(mark.at);
    if (x < GUTTER - 8 || x > scale.width || x - last < 4) continue; // drawn on one another they are one
    last = x;
    const [colour, shape] = Object.hasOwn(SIGNS, mark.kind) ? SIGNS[mark.kind] : SIGNS.notice;
    sign(pen, x, MARKS_Y, shape, colours[colour]);
  }
}

/** @param {CanvasRenderingContext2D} pen @param {number} x @param {number} y @param {string} shape @param {string} colour */
function sign(pen, x, y, shape, colour) {
  pen.fillStyle = pen.strokeStyle = colour;
  pen.lineWidth = 1.6;
  pen.beginPath();
  if (shape === "triangle") {
    pen.moveTo(x - 5.5, y - 4.5);
    pen.lineTo(x + 5.5, y - 4.5);
    pen.lineTo(x, y + 5);
  } else if (shape === "diamond") {
    pen.moveTo(x, y - 5.5);
    pen.lineTo(x + 5.5, y);
    pen.lineTo(x, y + 5.5);
    pen.lineTo(x - 5.5, y);
  } else if (shape === "square") pen.roundRect(x - 4.5, y - 4.5, 9, 9, 1.5);
  else if (shape === "bars") {
    pen.rect(x - 4, y - 4.5, 3, 9);
    pen.rect(x + 1, y - 4.5, 3, 9);
  } else pen.arc(x, y, shape === "ring" ? 3.8 : 4.8, 0, 7);
  if (shape === "ring") pen.stroke();
  else pen.fill();
}
