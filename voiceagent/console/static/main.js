// @ts-check
// The page: sign in, follow the live stream, show what the address names.
import { api } from "./api.js";
import { fill } from "./dom.js";
import { tokenFromAddress } from "./router.js";
import { Store } from "./store.js";
import "./frame.js";

class Console extends HTMLElement {
  connectedCallback() {
    window.addEventListener("hashchange", () => this.go());
    void this.enter();
  }

  /** Come in by the address's token, or by the session that is already there. */
  async enter() {
    const token = tokenFromAddress();
    try {
      await this.welcome(token ? await api.signIn(token) : await api.session());
    } catch {
      await this.ask();
    }
  }

  stop() {
    this.frame?.leave();
    this.store?.disconnect();
    clearInterval(this.clock);
    clearInterval(this.health);
    this.store = undefined;
    this.frame = undefined;
  }

  async ask() {
    this.stop();
    await import("./sign-in.js");
    const form = document.createElement("va-sign-in");
    form.addEventListener("signed-in", (event) => void this.welcome(/** @type {CustomEvent} */ (event).detail));
    fill(this, form);
    document.title = "voiceagent console";
  }

  /** Whoever comes by the token of the first run is offered an account of their own. @param {any} session */
  async welcome(session) {
    if (!session.first_run || !session.rights.includes("admin")) return this.start(session);
    this.stop();
    await import("./first-run.js");
    const card = document.createElement("va-first-run");
    card.addEventListener("signed-in", (event) => this.start(/** @type {CustomEvent} */ (event).detail));
    card.addEventListener("later", () => this.start(session));
    fill(this, card);
  }

  /** @param {import("./store.js").Session} session */
  start(session) {
    this.stop();
    const store = new Store(api, session);
    const frame = /** @type {any} */ (document.createElement("va-frame"));
    this.store = store;
    this.frame = frame;
    fill(this, frame);
    frame.begin(store, () => void this.leave());
    store.addEventListener("change", () => frame.update());
    store.addEventListener("signed-out", () => void this.ask());
    this.clock = setInterval(() => frame.tick(), 1000);
    this.health = setInterval(() => void this.feel(), 15000);
    store.connect();
    this.go();
    void this.feel();
  }

  async leave() {
    await api.signOut().catch(() => undefined);
    await this.ask();
  }

  go() {
    if (location.hash.includes("token=")) void this.enter();
    else void this.frame?.route();
  }

  async feel() {
    void this.store?.loadTrunks();
    const health = await api.ready();
    this.frame?.feel(health);
  }
}
customElements.define("va-console", Console);
