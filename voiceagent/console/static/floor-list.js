// @ts-check
import { fill, h, reconcile, setText } from "./dom.js";
import { clock, words } from "./format.js";
import { talkTime } from "./store.js";

/** One call in the list: a link, so that the keyboard, the history and new tabs work as everywhere. */
class FloorRow extends HTMLElement {
  constructor() {
    super();
    this.way = h("span", { class: "way", role: "img" });
    this.who = h("span", { class: "who" });
    this.time = h("span", { class: "num time" });
    this.where = h("span", { class: "where" });
    this.state = h("span", { class: "state" });
    this.words = h("span", { class: "words" });
    this.link = h(
      "a",
      { class: "row" },
      h("span", { class: "line" }, this.way, this.who, this.state, this.time),
      this.where,
      this.words,
    );
  }

  connectedCallback() {
    if (!this.firstChild) this.append(this.link);
    this.setAttribute("role", "listitem");
  }

  /** @param {any} call */
  update(call) {
    this.call = call;
    this.link.setAttribute("href", `#/calls/${encodeURIComponent(call.id)}`);
    this.link.toggleAttribute("aria-current", call.open);
    this.link.dataset.floor = stage(call);
    showWay(this.way, call);
    setText(this.who, party(call));
    const over = call.trunk && call.trunk !== "default" ? call.trunk : "";
    const flow = [call.flow, call.step].filter(Boolean).join(" · ");
    setText(this.where, [[ourNumber(call), over].filter(Boolean).join(" · "), flow].filter(Boolean).join("  →  "));
    setText(this.state, call.state === "ended" ? words(call.outcome?.kind ?? "ended") : stateWords(call));
    setText(this.words, call.last_words || "");
    this.words.hidden = !call.last_words;
    this.tick();
  }

  tick() {
    if (this.call) setText(this.time, clock(talkTime(this.call)));
  }
}

/** What goes on, in two words. @param {any} call */
export function stateWords(call) {
  if (call.state !== "talking") return words(call.state);
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

/** What to colour a call by. @param {any} call */
export function stage(call) {
  if (["dialling", "ringing"].includes(call.state)) return "ringing";
  return call.state === "ended" ? "ended" : (call.floor ?? "nobody");
}

/** An arrow from who calls. @param {Element} element @param {any} call */
export function showWay(element, call) {
  const outbound = call.direction === "outbound";
  setText(element, outbound ? "→" : "←");
  element.setAttribute("aria-label", outbound ? "outbound" : "inbound");
}

/** Every call of the node: live ones first, the newest on top. */
class FloorList extends HTMLElement {
  connectedCallback() {
    if (this.live) return;
    this.live = h("div", { role: "list", "aria-label": "Live calls" });
    this.done = h("div", { role: "list", "aria-label": "Ended calls" });
    this.empty = h(
      "div",
      { class: "empty" },
      h("p", null, "No live calls."),
      h("p", { class: "quiet" }, "Calls appear here the moment they are offered."),
    );
    this.liveTitle = h("h2", null, "Live");
    this.doneTitle = h("h2", null, "Ended");
    fill(this, this.liveTitle, this.empty, this.live, this.doneTitle, this.done);
    this.addEventListener("keydown", (event) => this.move(event));
  }

  /** @param {import("./store.js").Store} store */
  update(store) {
    const all = [...store.calls.values()].map((call) => ({ ...call, open: call.id === store.openId }));
    const newest = (/** @type {any} */ a, /** @type {any} */ b) => b.started_at - a.started_at;
    const live = all.filter((call) => call.state !== "ended").sort(newest);
    const done = all.filter((call) => call.state === "ended").sort(newest);
    const make = () => /** @type {FloorRow} */ (document.createElement("va-floor-row"));
    const key = (/** @type {any} */ call) => call.id;
    if (!this.live || !this.done || !this.empty || !this.liveTitle || !this.doneTitle) return;
    reconcile(this.live, live, key, make);
    reconcile(this.done, done, key, make);
    setText(this.liveTitle, `Live ${live.length}`);
    setText(this.doneTitle, `Ended ${done.length}`);
    this.empty.hidden = live.length > 0 || store.link === "connecting";
    this.doneTitle.hidden = done.length === 0;
  }

  tick() {
    for (const row of this.live?.children ?? []) /** @type {FloorRow} */ (row).tick();
  }

  /** Arrow keys walk the list. @param {KeyboardEvent} event */
  move(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const links = /** @type {HTMLElement[]} */ ([...this.querySelectorAll("a.row")]);
    const at = links.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const next = links[at + step];
    if (at < 0 || !next) return;
    event.preventDefault();
    next.focus();
  }
}
customElements.define("va-floor-row", FloorRow);
customElements.define("va-floor-list", FloorList);
