// @ts-check
// Ended calls: the list that one searches, and one call to be read and heard.
import { fill, h } from "./dom.js";
import { style } from "./router.js";
import "./history-call.js";
import "./history-list.js";

class History extends HTMLElement {
  /** @param {{store: import("./store.js").Store, session: import("./store.js").Session}} given */
  enter(given) {
    style("pages.css");
    style("history.css");
    this.list = /** @type {any} */ (document.createElement("va-history-list"));
    this.call = /** @type {any} */ (document.createElement("va-history-call"));
    fill(this, h("div", { class: "sheet wide" }, this.list, this.call));
    this.list.enter(given);
    this.call.enter(given);
    this.list.hidden = this.call.hidden = true;
  }

  /** @param {import("./router.js").Route} route */
  show(route) {
    const { list, call } = this;
    if (!list || !call) return;
    const id = route.path[0];
    if (id === undefined) {
      const back = call.hidden === false;
      if (call.retagged) list.asked = undefined;
      call.hide();
      call.hidden = true;
      list.hidden = false;
      list.show(route);
      // Who comes back finds the list where it was left, with the call that was open in focus.
      if (back) list.returnTo(this.opened, this.scrolled ?? 0);
      return;
    }
    if (list.hidden === false) this.scrolled = this.scrollTop;
    this.opened = id;
    list.hidden = true;
    call.hidden = false;
    this.scrollTop = 0;
    call.show(id, route.query);
  }

  hide() {
    this.call?.hide();
  }

  leave() {
    this.call?.hide();
  }
}
customElements.define("va-history", History);
