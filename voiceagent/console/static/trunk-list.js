// @ts-check
import { fill, h, reconcile, setText } from "./dom.js";
import { words } from "./format.js";

/** One peer: whether calls can go over it, why not, and how many do. */
class TrunkRow extends HTMLElement {
  constructor() {
    super();
    this.name = h("bdi", { class: "name" });
    this.state = h("span", { class: "state" });
    this.calls = h("span", { class: "num calls" });
    this.detail = h("span", { class: "detail", dir: "auto" });
  }

  connectedCallback() {
    if (!this.firstChild) this.append(this.name, this.calls, this.state, this.detail);
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
    // What is wrong comes first.
    const order = [...store.trunks].sort((a, b) => Number(a.up) - Number(b.up));
    reconcile(this.rows, order, (trunk) => trunk.name, make);
  }
}
customElements.define("va-trunk-row", TrunkRow);
customElements.define("va-trunk-list", TrunkList);
