// @ts-check
// The page: sign in, follow the live stream, show the floor and one call.
import { api } from "./api.js";
import { fill, h, setText } from "./dom.js";
import { Store } from "./store.js";
import "./call-page.js";
import "./floor-list.js";
import "./sign-in.js";
import "./trunk-list.js";

/** Read a token from `#token=…` and take it out of the address and the history at once. */
function tokenFromAddress() {
  const found = new URLSearchParams(location.hash.replace(/^#\/?/, "")).get("token");
  if (found !== null) history.replaceState(null, "", location.pathname);
  return found;
}

class Console extends HTMLElement {
  connectedCallback() {
    window.addEventListener("hashchange", () => this.route());
    void this.enter();
  }

  /** Come in by the address's token, or by the session that is already there. */
  async enter() {
    const token = tokenFromAddress();
    try {
      this.start(token ? await api.signIn(token) : await api.session());
    } catch {
      this.askToken();
    }
  }

  stop() {
    this.store?.disconnect();
    clearInterval(this.clock);
    clearInterval(this.health);
    this.store = undefined;
  }

  askToken() {
    this.stop();
    const form = document.createElement("va-sign-in");
    form.addEventListener("signed-in", (event) => this.start(/** @type {CustomEvent} */ (event).detail));
    fill(this, form);
    document.title = "voiceagent console";
  }

  /** @param {{role: string, name: string, rights: string[]}} session */
  start(session) {
    this.stop();
    const store = new Store(api);
    this.store = store;
    store.rights = session.rights;
    this.list = /** @type {any} */ (document.createElement("va-floor-list"));
    this.trunks = /** @type {any} */ (document.createElement("va-trunk-list"));
    this.page = /** @type {any} */ (document.createElement("va-call-page"));
    this.link = h("span", { class: "link", role: "status" });
    this.ready = h("span", { class: "link", hidden: true });
    const leave = h("button", { type: "button", class: "small", onclick: () => void this.leave() }, "Sign out");
    fill(
      this,
      h("a", { class: "skip", href: "#main", onclick: (/** @type {Event} */ e) => this.skip(e) }, "Skip to the call"),
      h(
        "header",
        { class: "top" },
        h("a", { href: "#/", class: "brand" }, h("img", { src: "/static/icon.svg", alt: "", width: 22, height: 22 }), "voiceagent"),
        h("span", { class: "grow" }),
        h("span", { class: "quiet who-am-i" }, `${session.name} (${session.role})`),
        this.ready,
        this.link,
        leave,
      ),
      h("div", { class: "frame" }, h("nav", { "aria-label": "Calls" }, this.trunks, this.list), h("main", { id: "main", tabindex: -1 }, this.page)),
    );
    store.addEventListener("change", () => this.show());
    store.addEventListener("signed-out", () => this.askToken());
    this.clock = setInterval(() => this.tick(), 1000);
    this.health = setInterval(() => void this.feel(), 15000);
    store.connect();
    this.route();
    void this.feel();
  }

  async leave() {
    await api.signOut().catch(() => undefined);
    this.askToken();
  }

  /** @param {Event} event */
  skip(event) {
    event.preventDefault();
    document.getElementById("main")?.focus();
  }

  route() {
    if (location.hash.includes("token=")) {
      void this.enter();
      return;
    }
    const found = /^#\/calls\/([^/]+)$/.exec(location.hash);
    let id = null;
    try {
      id = found ? decodeURIComponent(found[1]) : null;
    } catch {
      id = null;
    }
    if (this.store && id !== this.store.openId) this.store.open(id);
    this.classList.toggle("has-call", id !== null);
  }

  async feel() {
    void this.store?.loadTrunks();
    const { ready, parts } = await api.ready();
    if (!this.ready) return;
    this.ready.hidden = ready;
    this.ready.dataset.link = "lost";
    setText(this.ready, parts?.draining ? "draining" : "takes no new calls");
  }

  show() {
    const store = this.store;
    if (!store || !this.link) return;
    this.trunks.update(store);
    this.list.update(store);
    this.page.update(store);
    this.link.dataset.link = store.link;
    setText(this.link, { live: "live", lost: "reconnecting", connecting: "connecting" }[store.link]);
    const live = [...store.calls.values()].filter((call) => call.state !== "ended").length;
    document.title = live ? `(${live}) voiceagent console` : "voiceagent console";
  }

  tick() {
    this.list?.tick?.();
    this.page?.tick?.();
  }
}
customElements.define("va-console", Console);
