// @ts-check
// What a time line shows: its end by now, where one can stop with the keys, and the same in words.
import { clock, seconds, words } from "./format.js";

/** @typedef {{from: number, to: number, response_id: string, cut?: boolean}} Stretch */
/** @typedef {{at: number, kind: string, text: string}} Mark */
/** @typedef {{at: number, response_id: string, latency_ms: number, parts: Record<string, number>}} Turn */
/** @typedef {{duration_s: number, live: boolean, caller: [number, number][], operator?: [number, number][], generated: Stretch[], heard: Stretch[],
 *   marks: Mark[], turns: Turn[], latency: {p50_ms: number | null, p95_ms: number | null}}} Timeline */
/** @typedef {{at: number, lines: string[]}} Stop */

export const SLOW_MS = 1500;
/** A live line grows by itself between two updates, at most for so long. */
export const GROWS_S = 15;
const TOGETHER_PX = 12;
const LINES = 6;

/** The line as it stands `since` seconds after it was fetched: what was open goes on. @param {Timeline} line @param {number} since @returns {Timeline} */
export function grown(line, since) {
  const by = line.live ? Math.min(Math.max(since, 0), GROWS_S) : 0;
  if (!by) return line;
  const now = line.duration_s + by;
  const open = (/** @type {number} */ to) => to >= line.duration_s - 0.01;
  return {
    ...line,
    duration_s: now,
    caller: line.caller.map(([from, to]) => [from, open(to) ? now : to]),
    operator: line.operator?.map(([from, to]) => [from, open(to) ? now : to]),
    heard: line.heard.map((one) => (open(one.to) ? { ...one, to: now } : one)),
  };
}

/** Where the picture ends: in a live call what is made already stands beyond now. @param {Timeline} line */
export function endOf(line) {
  const last = line.live ? line.generated.slice(-3).map((one) => one.to) : [];
  return Math.max(10, line.duration_s, ...last);
}

/** Generated stretches as far as they were not overtaken by the next reply, or by the call's end. @param {Timeline} line @returns {Stretch[]} */
export function visible(line) {
  const inOrder = [...line.generated].sort((a, b) => a.from - b.from);
  return inOrder.map((one, at) => {
    const next = inOrder[at + 1]?.from ?? Infinity;
    return { ...one, to: Math.max(one.from, Math.min(one.to, next, line.live ? Infinity : line.duration_s)) };
  });
}

/** @param {Mark} mark */
export const markWords = (mark) => `${clock(mark.at)} ${words(mark.kind)}: ${mark.text}`;

/** @param {Turn} turn */
export function turnWords(turn) {
  const parts = Object.entries(turn.parts).filter(([, ms]) => ms >= 5);
  const where = parts.map(([name, ms]) => `${seconds(ms)} ${name}`).join(", ");
  return `${clock(turn.at)} waited ${seconds(turn.latency_ms)} for the reply${where ? ` (${where})` : ""}`;
}

/** @param {Stretch} one @param {Timeline} line */
export function replyWords(one, line) {
  const heard = line.heard.find((other) => other.response_id === one.response_id && Math.abs(other.from - one.from) < 0.01);
  const made = seconds((one.to - one.from) * 1000);
  if (!heard) return `${clock(one.from)} agent: ${made} generated, nothing of it heard`;
  const part = seconds((heard.to - heard.from) * 1000);
  if (line.live && heard.to >= line.duration_s - 0.01) return `${clock(one.from)} agent: speaks`;
  // Where the provider plays the sound, how much of it there was is not known.
  const of = one.to - heard.to > 0.05 ? ` of ${made}` : "";
  return `${clock(one.from)} agent: heard ${part}${heard.cut ? `${of}, then cut` : ""}`;
}

/** @param {[number, number]} one @param {Timeline} line */
export function callerWords([from, to], line) {
  const open = line.live && to >= line.duration_s - 0.01;
  return `${clock(from)} caller: ${open ? "speaks" : `spoke for ${seconds((to - from) * 1000)}`}`;
}

/** @param {[number, number]} one @param {Timeline} line */
export function operatorWords([from, to], line) {
  const open = line.live && to >= line.duration_s - 0.01;
  return `${clock(from)} operator: ${open ? "speaks instead of the agent" : `spoke instead of the agent for ${seconds((to - from) * 1000)}`}`;
}

/** Marks and waits in order; what would stand on one another is one stop. @param {Timeline} line @param {number} perSecond pixels @returns {Stop[]} */
export function stops(line, perSecond) {
  const all = [
    ...line.marks.map((mark) => ({ at: mark.at, text: markWords(mark) })),
    ...line.turns.map((turn) => ({ at: turn.at + turn.latency_ms / 1000, text: turnWords(turn) })),
  ].sort((a, b) => a.at - b.at);
  /** @type {Stop[]} */
  const found = [];
  for (const one of all) {
    const last = found[found.length - 1];
    if (last && (one.at - last.at) * perSecond < TOGETHER_PX) last.lines.push(one.text);
    else found.push({ at: one.at, lines: [one.text] });
  }
  return found;
}

/** The first lines, and how many more there are. @param {string[]} lines */
export function shortened(lines) {
  return lines.length > LINES ? [...lines.slice(0, LINES - 1), `and ${lines.length - LINES + 1} more: zoom in`] : lines;
}

/** Everything as rows of a table, in order. @param {Timeline} line @returns {{at: number, who: string, text: string}[]} */
export function rows(line) {
  const row = (/** @type {number} */ at, /** @type {string} */ who, /** @type {string} */ text) => ({ at, who, text });
  const rest = (/** @type {string} */ text) => text.slice(text.indexOf(": ") + 2);
  return [
    ...line.caller.map((one) => row(one[0], "caller", rest(callerWords(one, line)))),
    ...(line.operator ?? []).map((one) => row(one[0], "operator", rest(operatorWords(one, line)))),
    ...line.generated.map((one) => row(one.from, "agent", rest(replyWords(one, line)))),
    ...line.marks.map((mark) => row(mark.at, words(mark.kind), mark.text)),
    ...line.turns.map((turn) => row(turn.at, "wait", turnWords(turn).slice(clock(turn.at).length + 1))),
  ].sort((a, b) => a.at - b.at);
}
