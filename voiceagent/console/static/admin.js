// @ts-check
// Who may come in, and what they did.
import { fill, h } from "./dom.js";
import { style } from "./router.js";
import "./admin-audit.js";
import "./admin-erasure.js";
import "./admin-keys.js";
import "./admin-me.js";
import "./admin-users.js";

/** In the order of the tabs; the first that one may see is opened. */
const SECTIONS = [
  { name: "users", label: "Users", right: "admin", tag: "va-admin-users" },
  { name: "keys", label: "Keys", right: "admin", tag: "va-admin-keys" },
  { name: "audit", label: "Audit log", right: "manage", tag: "va-admin-audit" },
  { name: "erasure", label: "Erasure", right: "admin", tag: "va-admin-erasure" },
  { name: "me", label: "Your account", right: "view", tag: "va-admin-me" },
];

class Admin extends HTMLElement {
  /** @param {{store: import("./store.js").Store, session: import("./store.js").Session}} given */
  enter(given) {
    style("pages.css");
    style("admin.css");
    this.given = given;
    /** @type {Map<string, any>} */
    this.sections = new Map();
    this.tabs = SECTIONS.map((one) => h("a", { href: `#/admin/${one.name}`, "data-section": one.name }, one.label));
    this.body = h("div", null);
    fill(this, h("div", { class: "sheet" }, h("nav", { class: "tabs", "aria-label": "Administration" }, this.tabs), this.body));
  }

  /** @param {import("./router.js").Route} route */
  show(route) {
    const { given, sections, body } = this;
    if (!given || !sections || !body) return;
    const wanted = SECTIONS.find((one) => one.name === route.path[0]);
    const section = wanted ?? SECTIONS.find((one) => given.session.rights.includes(one.right)) ?? SECTIONS[SECTIONS.length - 1];
    for (const tab of this.tabs ?? []) {
      if (tab.dataset.section === section.name) tab.setAttribute("aria-current", "page");
      else tab.removeAttribute("aria-current");
    }
    let element = sections.get(section.name);
    if (!element) {
      element = document.createElement(section.tag);
      sections.set(section.name, element);
      body.append(element);
      element.enter(given);
    }
    for (const [name, one] of sections) one.hidden = name !== section.name;
    element.show(route);
  }

  hide() {
    this.querySelectorAll("dialog").forEach((dialog) => dialog.close());
  }
}
customElements.define("va-admin", Admin);
