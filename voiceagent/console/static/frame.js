// @ts-check
import { fill, h, setText } from "./dom.js";
import { keysAreOn } from "./help.js";
import "./alerts.js";
import { PAGES, parse } from "./router.js";

/** What stands around every page: brand, navigation, how fresh all of it is, who one is. */
class Frame extends HTMLElement {
  /** How often an address was gone to. */
  rounds = 0;

  /** @param {import("./store.js").Store} store @param {() => void} signOut */
  begin(store, signOut) {
    this.store = store;
    /** @type {Map<string, any>} pages that were asked for, by name */
    this.pages = new Map();
    this.link = h("span", { class: "link", role: "status" });
    this.ready = h("span", { class: "link", "data-link": "lost", hidden: true });
    this.title_ = h("h1", { class: "visually-hidden" });
    this.alerts = /** @type {any} */ (document.createElement("va-alerts"));
    this.help = /** @type {any} */ (document.createElement("va-help"));
    this.main = h("main", { id: "main", tabindex: -1 });
    const offered = PAGES.filter((page) => store.rights.includes(page.right));
    this.links = offered.map((page) => h("a", { href: page.href, "data-page": page.name }, page.label));
    const { name, role } = store.session;
    fill(
      this,
      h("a", { class: "skip", href: "#main", onclick: (/** @type {Event} */ event) => this.skip(event) }, "Skip to the page"),
      h(
        "header",
        { class: "top" },
        this.title_,
        h("a", { href: "#/", class: "brand", "aria-label": "voiceagent" }, h("img", { src: "/static/icon.svg", alt: "", width: 22, height: 22 }), h("span", null, "voiceagent")),
        h("nav", { class: "pages", "aria-label": "Pages" }, this.links),
        h("span", { class: "grow" }),
        this.ready,
        this.link,
        h("a", { href: "#/admin/me", class: "quiet who-am-i", title: `${name} (${role}): your account` }, h("bdi", null, name), h("span", null, ` ${role}`)),
        h("button", { type: "button", class: "small ask", "aria-label": "Keyboard", title: "Keyboard (?)", onclick: () => this.help.open() }, "?"),
        h("button", { type: "button", class: "small", onclick: signOut }, "Sign out"),
      ),
      (this.stale = h("p", { class: "stale", hidden: true }, "The connection is lost. What you see may be old; it is tried again by itself.")),
      (this.apart = h("p", { class: "stale", role: "status", hidden: true })),
      this.alerts,
      this.main,
      this.help,
    );
    this.keys = (/** @type {KeyboardEvent} */ event) => this.press(event);
    document.addEventListener("keydown", this.keys);
  }

  /** Single keys, unless one writes, holds a modifier, or a dialog is open. @param {KeyboardEvent} event */
  press(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.repeat || !keysAreOn()) return;
    const at = /** @type {HTMLElement} */ (event.target);
    if (at.closest?.("input, textarea, select, [contenteditable]") || document.querySelector("dialog[open]")) return;
    if (this.take(event.key)) event.preventDefault();
  }

  /** @param {string} key @returns {boolean} */
  take(key) {
    if (key === "?") {
      this.help.open();
      return true;
    }
    const link = /^[1-9]$/.test(key) ? this.links?.[Number(key) - 1] : undefined;
    if (link) {
      link.click();
      return true;
    }
    return Boolean(this.shown()?.key?.(key));
  }

  /** Show the page of the address. */
  async route() {
    const round = ++this.rounds;
    const route = parse(location.hash);
    const page = PAGES.find((one) => one.name === route.page);
    if (!page || !this.main || !this.pages || !this.store) return;
    this.current = route.page;
    this.dataset.page = route.page;
    this.toggleAttribute("data-open", route.page === "floor" && route.path.length > 0);
    for (const link of this.links ?? []) {
      if (link.dataset.page === route.page) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    if (this.title_) setText(this.title_, page.label);
    for (const [name, element] of this.pages) {
      if (name === route.page || element.hidden) continue;
      element.hidden = true;
      element.hide?.();
    }
    let element = this.pages.get(page.name);
    if (!element) {
      element = await this.make(page);
      if (!element) return;
      // Somebody may have gone on while the page was fetched; two fetches need not end in their order.
      if (this.current !== page.name) element.hidden = true;
      if (round !== this.rounds) return;
    }
    element.hidden = false;
    element.show?.(route);
    this.update();
  }

  /** @param {import("./router.js").Page} page */
  async make(page) {
    try {
      await page.load();
    } catch {
      if (this.current === page.name) this.miss(page);
      return null;
    }
    const known = this.pages?.get(page.name);
    if (known || !this.isConnected) return known;
    const element = /** @type {any} */ (document.createElement(page.tag));
    element.classList.add("page");
    this.pages?.set(page.name, element);
    this.found(page);
    this.main?.append(element);
    element.enter?.({ store: this.store, session: this.store?.session });
    return element;
  }

  /** Nothing is missed of this page any more; what is said of others stays. @param {import("./router.js").Page} page */
  found(page) {
    const name = `missing ${page.name}`;
    this.pages?.get(name)?.remove();
    this.pages?.delete(name);
  }

  /** @param {import("./router.js").Page} page */
  miss(page) {
    this.found(page);
    const again = h("button", { type: "button", onclick: () => void this.route() }, "Try again");
    const place = /** @type {any} */ (
      h("div", { class: "empty missing" }, h("p", null, `${page.label} cannot be loaded.`), h("p", { class: "quiet" }, "The console does not answer, or does not have this page."), again)
    );
    this.main?.append(place);
    this.pages?.set(`missing ${page.name}`, place);
  }

  /** @param {Event} event */
  skip(event) {
    event.preventDefault();
    this.main?.focus();
  }

  update() {
    const store = this.store;
    if (!store || !this.link) return;
    this.alerts.update(store);
    this.shown()?.update?.(store);
    this.link.dataset.link = store.link;
    if (this.stale) this.stale.hidden = store.link !== "lost";
    if (this.apart) {
      this.apart.hidden = !store.fleet?.stale || store.link === "lost";
      setText(this.apart, this.apart.hidden ? "" : `Registry stale: node ${store.fleet?.node} cannot see the others. Their calls are shown as they stood; its own go on.`);
    }
    setText(this.link, { live: "live", lost: "reconnecting", connecting: "connecting" }[store.link]);
    const live = [...store.calls.values()].filter((call) => call.state !== "ended").length;
    document.title = live ? `(${live}) voiceagent console` : "voiceagent console";
  }

  /** Say whether new calls are taken. @param {{ready: boolean, parts?: any}} health */
  feel({ ready, parts }) {
    if (!this.ready) return;
    this.ready.hidden = ready;
    setText(this.ready, parts?.draining ? "draining" : "takes no new calls");
  }

  tick() {
    this.alerts.tick();
    this.shown()?.tick?.();
  }

  leave() {
    if (this.keys) document.removeEventListener("keydown", this.keys);
    for (const element of this.pages?.values() ?? []) element.leave?.();
  }

  shown() {
    return this.pages?.get(this.current ?? "");
  }
}
customElements.define("va-frame", Frame);
