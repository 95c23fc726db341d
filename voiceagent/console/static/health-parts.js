// @ts-check
import { api } from "./api.js";
import { fill, h } from "./dom.js";
import { words } from "./format.js";
import { nothing, Section } from "./parts.js";

/** Figures that are shown as so many of so many. @type {[string, string, string][]} */
const LIMITS = [
  ["calls", "max_calls", "calls"],
  ["streams", "max_streams", "open pages"],
  ["listeners", "max_listeners", "listeners"],
];
/** Shown elsewhere, or within another line. */
const HIDDEN = ["draining", "retry_after_s", "trunks", "provider_state", ...LIMITS.flat()];
const NAMES = /** @type {Record<string, string>} */ ({ sip: "SIP" });
const GOOD = [true, "ok", "listening"];

/** Why no new calls are taken. @param {any} parts @returns {string} */
export function why(parts) {
  if (!parts) return "It does not say why.";
  if (parts.draining) return "It is draining: calls that run go on, new ones are turned away.";
  if (parts.sip === false) return "SIP is not up yet.";
  if (parts.provider_state && parts.provider_state !== "ok") return `The provider is not ready: ${parts.provider_state}.`;
  if (parts.max_calls && parts.calls >= parts.max_calls) return `All ${parts.max_calls} places are taken; raise call limits, or add a node.`;
  return "One of its parts is not ready.";
}

/** Whether new calls are taken, and each part that they need. */
class HealthParts extends Section {
  draw() {
    this.head = h("div", { class: "verdict-line", role: "status" });
    this.list = h("dl", { class: "states" });
    fill(this, h("div", { class: "sheet-head" }, h("h2", null, "Health"), this.head), this.list);
  }

  show() {
    void this.refresh();
  }

  async refresh() {
    const { head, list } = this;
    if (!head || !list) return;
    const { ready, reached, parts } = await api.ready();
    const told = JSON.stringify([ready, reached, parts]);
    if (told === this.told) return;
    this.told = told;
    if (!reached) {
      fill(head, h("span", { class: "mark", "data-mark": "bad" }, "The console cannot be reached."));
      fill(list, nothing("Look whether the service runs.", "What stands below is as it was."));
      return;
    }
    fill(
      head,
      h("span", { class: "mark", "data-mark": ready ? "on" : "bad" }, ready ? "takes new calls" : "takes no new calls"),
      !ready && h("span", { class: "quiet" }, why(parts)),
    );
    const found = parts ?? {};
    fill(list, LIMITS.map(([now, most, label]) => (found[now] === undefined ? null : meter(label, found[now], found[most] ?? 0))), Object.entries(found).map(([name, value]) => (HIDDEN.includes(name) ? null : part(name, value, found))));
  }
}

/** @param {string} name @param {any} value @param {any} parts */
function part(name, value, parts) {
  const state = name === "provider" ? (parts.provider_state ?? "ok") : value;
  const good = GOOD.includes(state);
  const text = name === "provider" ? (good ? value : `${value}: ${state}`) : good ? "ok" : value === false ? "not up" : words(value);
  return h("div", { class: good ? null : "wrong" }, h("dt", null, NAMES[name] ?? words(name)), h("dd", null, h("span", { class: "mark", "data-mark": good ? "on" : "bad" }, text)));
}

/** @param {string} label @param {number} now @param {number} most */
function meter(label, now, most) {
  return h(
    "div",
    null,
    h("dt", null, label),
    h("dd", { class: "num" }, `${now}${most ? ` of ${most}` : ""}`, most > 0 && h("meter", { min: 0, max: most, high: most * 0.85, optimum: 0, value: now, "aria-hidden": "true" })),
  );
}
customElements.define("va-health-parts", HealthParts);
