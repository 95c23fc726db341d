// @ts-check
import { h, reconcile, setText } from "./dom.js";
import { clock, words } from "./format.js";
import { callAddress } from "./router.js";
import { talkTime } from "./store.js";

/** One call in the list: a link, so that the keyboard, the history and new tabs work as everywhere. */
export class FloorRow extends HTMLElement {
  constructor() {
    super();
    this.way = h("span", { class: "way", role: "img" });
    this.who = h("bdi", { class: "who" });
    this.state = h("span", { class: "state" });
    this.step = h("span", { class: "step", dir: "auto" });
    this.alarm = h("span", { class: "alarm" });
    this.words = h("span", { class: "words", dir: "auto" });
    this.tags = h("span", { class: "tags" });
    this.over = h("span", { class: "over", dir: "auto" });
    this.node = h("span", { class: "node", dir: "auto" });
    this.time = h("span", { class: "num time" });
    this.link = h("a", { class: "row" }, this.way, this.who, this.state, this.step, h("span", { class: "last" }, this.alarm, this.words), this.tags, this.over, this.node, this.time);
  }

  connectedCallback() {
    if (!this.firstChild) this.append(this.link);
    this.setAttribute("role", "listitem");
  }

  /** @param {any} call with `open`, and `alerts` of the call */
  update(call) {
    this.call = call;
    this.link.setAttribute("href", callAddress(call.id));
    if (call.open) this.link.setAttribute("aria-current", "true");
    else this.link.removeAttribute("aria-current");
    this.link.dataset.floor = stage(call);
    this.link.toggleAttribute("data-alarm", call.alerts.length > 0);
    showWay(this.way, call);
    setText(this.who, party(call));
    setText(this.state, call.state === "ended" ? words(call.outcome?.kind ?? "ended") : stateWords(call));
    setText(this.step, [call.flow, call.step].filter(Boolean).join(" · "));
    setText(this.alarm, call.alerts.map((/** @type {any} */ alert) => words(alert.kind)).join(", "));
    this.alarm.hidden = call.alerts.length === 0;
    setText(this.words, call.last_words || "");
    setText(this.over, [ourNumber(call), call.trunk !== "default" && call.trunk].filter(Boolean).join(" · "));
    setText(this.node, call.node ?? "");
    this.link.toggleAttribute("data-stale", Boolean(call.stale));
    const marks = [...(call.listeners?.length ? ["heard"] : []), ...(call.tags ?? [])];
    reconcile(this.tags, marks, String, (mark) => h("span", { class: "tag", dir: "auto" }, mark));
    this.tick();
  }

  tick() {
    if (this.call) setText(this.time, clock(talkTime(this.call)));
  }
}

/** What goes on, in two words. @param {any} call */
export function stateWords(call) {
  if (call.state !== "talking") return words(call.state);
  if (call.taken_over_by) return `${call.taken_over_by} speaks`;
  if (call.held_by?.includes("us")) return "on hold";
  if (call.held_by?.length) return "holds us";
  if (call.floor === "caller") return "caller speaks";
  if (call.floor === "agent") return "agent speaks";
  return "listening";
}

/** Whom we speak with. @param {any} call */
export function party(call) {
  return (call.direction === "outbound" ? call.called : call.caller) || "unknown caller";
}

/** The number of ours that was called, or that we call as. @param {any} call */
function ourNumber(call) {
  return call.direction === "outbound" ? call.caller : call.called;
}

/** What to colour a call by: ringing, ended, operator, held, caller, agent or nobody. @param {any} call */
export function stage(call) {
  if (call.state === "ended") return "ended";
  if (["offered", "dialling", "ringing"].includes(call.state)) return "ringing";
  if (call.taken_over_by) return "operator";
  if (call.held_by?.length || call.floor === "held") return "held";
  return ["caller", "agent"].includes(call.floor) ? call.floor : "nobody";
}

/** An arrow from who calls. @param {Element} element @param {any} call */
export function showWay(element, call) {
  const outbound = call.direction === "outbound";
  setText(element, outbound ? "→" : "←");
  element.setAttribute("aria-label", outbound ? "outbound" : "inbound");
}
customElements.define("va-floor-row", FloorRow);

