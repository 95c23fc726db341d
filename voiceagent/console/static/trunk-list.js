// @ts-check
import { fill, h, reconcile, setText } from "./dom.js";
import { words } from "./format.js";

/** One peer: whether calls can go over it, why not, and how many do. */
class TrunkRow extends HTMLElement {
  constructor() {
    super();
    this.name = h("span", { class: "name" });
    this.state = h("span", { class: "state" });
    this.calls = h("span", { class: "num calls" });
    this.detail = h("span", { class: "detail" });
  }

  connectedCallback() {
    if (!this.firstChild) this.append(h("span", { class: "line" }, this.name, this.state, this.calls), this.detail);
    this.setAttribute("role", "listitem");
  }

  /** @param {any} trunk */
  update(trunk) {
    const state = trunkState(trunk);
    this.dataset.tone = trunk.up ? "up" : state === "registering" ? "trying" : "down";
    setText(this.name, trunk.name);
    setText(this.state, words(state));
    setText(this.calls, trunk.max_calls ? `${trunk.calls} / ${trunk.max_calls}` : trunk.calls);
    this.calls.setAttribute("title", trunk.max_calls ? `calls now, of ${trunk.max_calls} at most` : "calls now");
    setText(this.detail, trunk.up ? "" : trunk.detail);
    this.detail.hidden = trunk.up || !trunk.detail;
  }
}

/** The one word that matters. @param {any} trunk */
export function trunkState(trunk) {
  if (trunk.up) return trunk.registration === "registered" ? "registered" : "up";
  return ["off", "registered"].includes(trunk.registration) ? "down" : trunk.registration;
}

/** All trunks; hidden where there is only what `sip.allowed_sources` lets in. */
class TrunkList extends HTMLElement {
  connectedCallback() {
    if (this.rows) return;
    this.rows = h("div", { role: "list", "aria-label": "Trunks" });
    this.heading = h("h2", null, "Trunks");
    fill(this, this.heading, this.rows);
    this.hidden = true;
  }

  /** @param {import("./store.js").Store} store */
  update(store) {
    if (!this.rows || !this.heading) return;
    this.hidden = store.trunks.every((trunk) => trunk.name === "default");
    const down = store.trunks.filter((trunk) => !trunk.up).length;
    setText(this.heading, down ? `Trunks ${store.trunks.length}, ${down} not up` : `Trunks ${store.trunks.length}`);
    const make = () => /** @type {TrunkRow} */ (document.createElement("va-trunk-row"));
    reconcile(this.rows, store.trunks, (trunk) => trunk.name, make);
  }
}
customElements.define("va-trunk-row", TrunkRow);
customElements.define("va-trunk-list", TrunkList);
