// @ts-check
// How this node stands: whether it takes calls, what is wrong, over whom calls go, what answers them, who is told.
import { fill, h } from "./dom.js";
import { style } from "./router.js";
import "./health-alerts.js";
import "./health-deliveries.js";
import "./health-flows.js";
import "./health-nodes.js";
import "./health-parts.js";
import "./health-trunks.js";

const REFRESH_S = 10;

class Health extends HTMLElement {
  /** @param {{store: import("./store.js").Store, session: import("./store.js").Session}} given */
  enter(given) {
    style("pages.css");
    style("health.css");
    const part = (/** @type {string} */ tag) => /** @type {any} */ (document.createElement(tag));
    const [parts, alerts, nodes, trunks, flows, deliveries] = ["parts", "alerts", "nodes", "trunks", "flows", "deliveries"].map((name) => part(`va-health-${name}`));
    this.all = [parts, alerts, nodes, trunks, flows, deliveries];
    this.beats = 0;
    fill(
      this,
      h("div", { class: "sheet wide" }, parts, h("div", { class: "health" }, h("div", null, alerts, deliveries), h("div", null, nodes, trunks, flows))),
    );
    for (const one of this.all) one.enter(given);
  }

  /** @param {import("./router.js").Route} route */
  show(route) {
    for (const one of this.all ?? []) one.show(route);
  }

  /** @param {import("./store.js").Store} store */
  update(store) {
    for (const one of this.all ?? []) one.update?.(store);
  }

  tick() {
    this.beats = (this.beats ?? 0) + 1;
    if (this.beats % REFRESH_S === 0 && !document.hidden) for (const one of this.all ?? []) one.refresh?.();
  }
}
customElements.define("va-health", Health);
