// @ts-check
import { ask } from "./api.js";
import { fill, h, setText } from "./dom.js";
import { clock, words } from "./format.js";
import { nothing, Section, when } from "./parts.js";

const PAST = 20;

/** What needs help now, and what did lately. */
class HealthAlerts extends Section {
  draw() {
    this.heading = h("h3", null, "Alerts");
    this.list = h("div", null);
    fill(this, h("section", { class: "panel", "aria-label": "Alerts" }, this.heading, this.list));
  }

  show() {
    const { list, heading } = this;
    if (!list || !heading) return;
    void this.ask(list, () => ask("GET", "/v1/alerts"), ({ alerts }) => {
      const now = alerts.filter((/** @type {any} */ one) => one.cleared_at === null);
      const past = alerts.filter((/** @type {any} */ one) => one.cleared_at !== null).slice(0, PAST);
      setText(heading, now.length ? `Alerts ${now.length}` : "Alerts");
      const open = /** @type {HTMLDetailsElement | null} */ (list.querySelector("details"))?.open;
      fill(
        list,
        now.length ? h("ul", { class: "entries" }, now.map(entry)) : nothing("Nothing is wrong."),
        past.length > 0 && h("details", { class: "past", open }, h("summary", null, `Cleared lately ${past.length}`), h("ul", { class: "entries" }, past.map(entry))),
      );
    });
  }

  /** @param {import("./store.js").Store} store */
  update(store) {
    const standing = [...store.alerts.keys()].join();
    if (this.standing !== undefined && this.standing !== standing) this.show();
    this.standing = standing;
  }
}

/** @param {any} alert */
function entry(alert) {
  const over = alert.cleared_at !== null;
  return h(
    "li",
    { class: over ? "over" : null },
    h("span", { class: "mark", "data-mark": over ? "off" : "bad" }, words(alert.kind)),
    h("span", { class: "told" }, alert.text),
    h(
      "span",
      { class: "quiet under" },
      when(alert.since),
      over && ` for ${clock(alert.cleared_at - alert.since)}`,
      alert.call_id && [" · ", h("a", { href: over ? `#/history/${encodeURIComponent(alert.call_id)}` : `#/calls/${encodeURIComponent(alert.call_id)}` }, "its call")],
    ),
  );
}
customElements.define("va-health-alerts", HealthAlerts);
