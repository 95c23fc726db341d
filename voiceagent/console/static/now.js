// @ts-check
// PURE. What goes on in a call this moment, and what comes next, in a sentence each.
import { seconds, words } from "./format.js";
import { stage } from "./floor-row.js";

/** @typedef {{stage: string, now: string, next: string}} Now */

/** @param {any} call with its responses @param {number} unix what the time is @returns {Now} */
export function nowOf(call, unix) {
  return { stage: stage(call), now: nowWords(call), next: call.state === "ended" ? "" : nextWords(call, unix) };
}

/** @param {any} call */
function nowWords(call) {
  const at = stage(call);
  if (at === "ended") {
    const why = [words(call.outcome?.kind), call.outcome?.reason && words(call.outcome.reason)].filter(Boolean);
    return `Ended: ${why.join(" · ") || "no outcome known"}`;
  }
  if (call.state === "offered") return "The call is offered to us.";
  if (call.state === "dialling") return "We are dialling.";
  if (at === "ringing") return "It rings.";
  if (at === "operator") return `${call.taken_over_by} speaks with the caller; the agent is silent.`;
  if (at === "held") return call.held_by?.includes("caller") ? "The caller holds us." : "The caller is on hold.";
  if (at === "caller") return "The caller speaks.";
  if (at !== "agent") return "Nobody speaks; the agent listens.";
  const running = call.responses.find((/** @type {any} */ one) => !one.ended && ["audible", "generated", "played"].includes(one.state));
  return running?.instructions ? `The agent speaks: ${running.instructions}` : "The agent speaks.";
}

/** @param {any} call @param {number} unix */
function nextWords(call, unix) {
  const waiting = call.responses.filter((/** @type {any} */ one) => !one.ended && ["queued", "sent", "started"].includes(one.state));
  const first = waiting[0];
  if (!first) return "";
  const more = waiting.length > 1 ? `, and ${waiting.length - 1} more` : "";
  const why = [words(first.reason), waited(first, unix)].filter(Boolean).join(", ");
  return `Next: ${first.instructions ?? `the ${words(first.origin)}'s`}${why ? ` — waits: ${why}` : ""}${more}`;
}

/** How long a response has waited; nothing once it is heard or over. @param {any} response @param {number} unix */
export function waited(response, unix) {
  if (response.ended || ["audible", "generated", "played"].includes(response.state)) return "";
  const since = unix - response.submitted_at;
  return since >= 1 && since < 86400 ? seconds(since * 1000) : "";
}
