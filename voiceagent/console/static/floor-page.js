// @ts-check
import { fill, h } from "./dom.js";
import "./call-page.js";
import "./floor-list.js";
import "./trunk-list.js";

/** Every call, and beside them the one that is open. */
class FloorPage extends HTMLElement {
  /** @param {{store: import("./store.js").Store}} given */
  enter({ store }) {
    this.store = store;
    this.trunks = /** @type {any} */ (document.createElement("va-trunk-list"));
    this.list = /** @type {any} */ (document.createElement("va-floor-list"));
    this.page = /** @type {any} */ (document.createElement("va-call-page"));
    this.pane = h("section", { class: "pane", "aria-label": "Calls" }, this.trunks, this.list);
    fill(this, this.pane, this.page);
  }

  /** @param {import("./router.js").Route} route */
  show(route) {
    const id = route.path[0] ?? null;
    this.toggleAttribute("data-open", id !== null);
    if (this.store && id !== this.store.openId) this.store.open(id);
  }

  /** @param {import("./store.js").Store} store */
  update(store) {
    this.trunks?.update(store);
    this.list?.update(store);
    this.page?.update(store);
  }

  /** A key of the keyboard that stands for a deed. @param {string} key */
  key(key) {
    if (key === "/") {
      this.list.filter.focus();
      return true;
    }
    if (key === "j" || key === "k") return this.walk(key === "j" ? 1 : -1);
    if (key === "Escape" && this.store?.openId) {
      location.hash = "#/";
      return true;
    }
    return Boolean(this.page?.key(key));
  }

  /** Open the call that is `step` further. @param {number} step */
  walk(step) {
    const links = this.list.links();
    const at = links.findIndex((/** @type {HTMLElement} */ link) => link.hasAttribute("aria-current"));
    const next = links[at < 0 ? 0 : at + step];
    next?.click();
    next?.scrollIntoView({ block: "nearest" });
    return Boolean(next);
  }

  hide() {
    this.page?.hide();
  }

  tick() {
    this.list?.tick();
    this.page?.tick();
  }
}
customElements.define("va-floor-page", FloorPage);
