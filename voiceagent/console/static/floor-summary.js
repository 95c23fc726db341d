// @ts-check
import { fill, h, setText } from "./dom.js";
import { stage } from "./floor-row.js";

const STAGES = [
  ["agent", "agent speaks"],
  ["caller", "caller speaks"],
  ["nobody", "listening"],
  ["held", "on hold"],
  ["operator", "taken over"],
  ["ringing", "ringing"],
  ["alarm", "need help"],
];

/** How many calls are in which state, as a bar and as buttons that narrow the list. Fires `pick`. */
class FloorSummary extends HTMLElement {
  connectedCallback() {
    if (this.bar) return;
    this.picked = "";
    this.bar = h("div", { class: "bar", "aria-hidden": "true" }, STAGES.slice(0, -1).map(([name]) => h("i", { "data-floor": name })));
    this.buttons = STAGES.map(([name, label]) =>
      h("button", { type: "button", class: "count", "data-floor": name, "aria-pressed": "false", onclick: () => this.pick(name) }, h("b", { class: "num" }), ` ${label}`),
    );
    fill(this, this.bar, h("div", { class: "counts", role: "group", "aria-label": "Calls by state" }, this.buttons));
  }

  /** @param {string} name */
  pick(name) {
    this.picked = this.picked === name ? "" : name;
    this.dispatchEvent(new Event("pick"));
  }

  /** @param {any[]} live calls, with their `alerts` */
  update(live) {
    /** @type {Record<string, number>} */
    const counts = { alarm: live.filter((call) => call.alerts.length > 0).length };
    for (const call of live) counts[stage(call)] = (counts[stage(call)] ?? 0) + 1;
    // What was picked may have come to nothing: the way back must stay.
    for (const button of this.buttons ?? []) {
      const name = button.dataset.floor ?? "";
      setText(/** @type {Element} */ (button.firstElementChild), counts[name] ?? 0);
      button.hidden = !counts[name] && this.picked !== name;
      button.setAttribute("aria-pressed", String(this.picked === name));
    }
    for (const part of this.bar?.children ?? []) {
      const count = counts[/** @type {HTMLElement} */ (part).dataset.floor ?? ""] ?? 0;
      /** @type {HTMLElement} */ (part).style.flexGrow = String(count);
      /** @type {HTMLElement} */ (part).hidden = count === 0;
    }
    this.hidden = live.length === 0;
  }
}
customElements.define("va-floor-summary", FloorSummary);
