// @ts-check
import { fill, h, reconcile, setText } from "./dom.js";
import { clock, words } from "./format.js";
import { party } from "./floor-row.js";
import { callAddress } from "./router.js";

const SHOWN = 3;

/** What needs help now, above every page: the newest few, each with a way to its call. */
class Alerts extends HTMLElement {
  connectedCallback() {
    if (this.list) return;
    this.list = h("ul");
    this.rest = h("a", { href: "#/health" });
    this.setAttribute("role", "region");
    this.setAttribute("aria-label", "Alerts");
    this.setAttribute("aria-live", "polite");
    fill(this, this.list, this.rest);
    this.hidden = true;
  }

  /** @param {import("./store.js").Store} store */
  update(store) {
    if (!this.list || !this.rest) return;
    const open = (/** @type {any} */ alert) => Number(Boolean(alert.call_id) && alert.call_id === store.openId);
    const all = [...store.alerts.values()].map((alert) => ({ ...alert, who: nameOf(store, alert) }));
    all.sort((a, b) => open(b) - open(a) || b.since - a.since);
    this.hidden = all.length === 0;
    reconcile(this.list, all.slice(0, SHOWN), (alert) => alert.id, alertRow);
    this.rest.hidden = all.length <= SHOWN;
    if (!this.rest.hidden) setText(this.rest, `and ${all.length - SHOWN} more`);
    this.tick();
  }

  tick() {
    for (const row of this.list?.children ?? []) /** @type {any} */ (row).tick();
  }
}

/** Whom an alert is about. @param {import("./store.js").Store} store @param {any} alert */
function nameOf(store, alert) {
  if (!alert.call_id) return "Health";
  const call = store.calls.get(alert.call_id);
  return call ? party(call) : alert.call_id;
}

/** @param {any} first */
function alertRow(first) {
  const kind = h("strong", { dir: "auto" });
  const text = h("span", { class: "text", dir: "auto" });
  const age = h("span", { class: "num", "aria-hidden": "true" });
  const link = h("a", { href: first.call_id ? callAddress(first.call_id) : "#/health", class: "num" });
  let since = first.since;
  return Object.assign(h("li", null, kind, link, text, age), {
    update: (/** @type {any} */ alert) => {
      setText(kind, words(alert.kind));
      setText(link, alert.who);
      setText(text, alert.text);
      since = alert.since;
    },
    tick: () => setText(age, clock(Date.now() / 1000 - since)),
  });
}
customElements.define("va-alerts", Alerts);
