// @ts-check
import { fill, h, reconcile, setText } from "./dom.js";
import { party, stage } from "./floor-row.js";
import "./floor-summary.js";

/** Every call: those that need help first, then the newest; those that have ended below. */
class FloorList extends HTMLElement {
  connectedCallback() {
    if (this.live) return;
    this.summary = /** @type {any} */ (document.createElement("va-floor-summary"));
    this.filter = /** @type {HTMLInputElement} */ (
      h("input", { type: "search", class: "filter", placeholder: "Filter by number, step, words, tag", "aria-label": "Filter calls" })
    );
    this.filter.addEventListener("input", () => this.store && this.update(this.store));
    this.live = h("div", { role: "list", "aria-label": "Live calls" });
    this.done = h("div", { role: "list", "aria-label": "Ended calls" });
    this.emptyTitle = h("p");
    this.emptyText = h("p", { class: "quiet" });
    this.empty = h("div", { class: "empty" }, this.emptyTitle, this.emptyText);
    this.liveTitle = h("h2", null, "Live");
    this.doneTitle = h("h2", null, "Ended");
    this.heads = h(
      "div",
      { class: "heads", "aria-hidden": "true" },
      ["", "Caller", "State", "Step", "Last words", "Tags", "Called over", "Node", "Time"].map((name) => h("span", { class: name === "Node" ? "node" : null }, name)),
    );
    fill(
      this,
      h("div", { class: "floor-top" }, h("div", { class: "line" }, this.liveTitle, this.filter), this.summary),
      this.heads,
      this.empty,
      this.live,
      this.doneTitle,
      this.done,
    );
    this.summary.addEventListener("pick", () => this.store && this.update(this.store));
    this.addEventListener("keydown", (event) => this.move(event));
  }

  /** @param {import("./store.js").Store} store */
  update(store) {
    this.store = store;
    if (!this.live || !this.done || !this.empty || !this.liveTitle || !this.doneTitle || !this.filter || !this.heads) return;
    const alerts = store.alertsByCall();
    const all = [...store.calls.values()].map((call) => ({ ...call, open: call.id === store.openId, alerts: alerts.get(call.id) ?? [] }));
    const order = (/** @type {any} */ a, /** @type {any} */ b) =>
      Number(b.alerts.length > 0) - Number(a.alerts.length > 0) || b.started_at - a.started_at;
    const live = all.filter((call) => call.state !== "ended").sort(order);
    const done = all.filter((call) => call.state === "ended").sort(order);
    this.summary.update(live);
    const wanted = this.filter.value.trim().toLowerCase();
    const picked = this.summary.picked;
    const fits = (/** @type {any} */ call) => holds(call, wanted) && (!picked || (picked === "alarm" ? call.alerts.length > 0 : stage(call) === picked));
    const shownLive = live.filter(fits);
    const shownDone = picked ? [] : done.filter(fits);
    const make = () => /** @type {any} */ (document.createElement("va-floor-row"));
    reconcile(this.live, shownLive, (call) => call.id, make);
    reconcile(this.done, shownDone, (call) => call.id, make);
    const narrowed = Boolean(wanted || picked);
    setText(this.liveTitle, narrowed ? `Live ${shownLive.length} of ${live.length}` : `Live ${live.length}`);
    setText(this.doneTitle, `Ended ${shownDone.length}`);
    this.toggleAttribute("data-nodes", new Set(all.map((call) => call.node)).size > 1);
    this.heads.hidden = shownLive.length === 0;
    this.filter.hidden = all.length === 0;
    this.say(store, shownLive.length, narrowed && live.length > 0);
    this.doneTitle.hidden = shownDone.length === 0;
  }

  /** What stands where no call does. @param {import("./store.js").Store} store @param {number} shown @param {boolean} narrowed */
  say(store, shown, narrowed) {
    if (!this.empty || !this.emptyTitle || !this.emptyText) return;
    this.empty.hidden = shown > 0;
    if (!store.known) {
      const lost = store.link === "lost";
      setText(this.emptyTitle, lost ? "The console does not answer." : "Fetching the calls …");
      setText(this.emptyText, lost ? "It is tried again by itself." : "");
      return;
    }
    setText(this.emptyTitle, narrowed ? "No call fits." : "No live calls.");
    setText(this.emptyText, narrowed ? "Change the filter to see the others." : "Calls appear here the moment they are offered.");
  }

  tick() {
    for (const row of this.live?.children ?? []) /** @type {any} */ (row).tick();
  }

  /** Arrow keys walk the list. @param {KeyboardEvent} event */
  move(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const links = this.links();
    const at = links.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const next = links[at + step];
    if (at < 0 || !next) return;
    event.preventDefault();
    next.focus();
  }

  /** @returns {HTMLElement[]} the calls in their order */
  links() {
    return [...this.querySelectorAll("a.row")].map((link) => /** @type {HTMLElement} */ (link));
  }
}

/** @param {any} call @param {string} wanted in lower case */
function holds(call, wanted) {
  if (!wanted) return true;
  const fields = [party(call), call.caller, call.called, call.flow, call.step, call.last_words, call.trunk, call.node, call.id, ...(call.tags ?? [])];
  return fields.some((field) => String(field ?? "").toLowerCase().includes(wanted));
}
customElements.define("va-floor-list", FloorList);
