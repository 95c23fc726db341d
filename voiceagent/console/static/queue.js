// @ts-check
import { api } from "./api.js";
import { fill, h, reconcile, setText } from "./dom.js";
import { seconds, words } from "./format.js";
import { waited } from "./now.js";

const STEPS = ["queued", "sent", "started", "audible", "generated", "played"];

/** One wish for speech: how far it came, why it waits or how it ended, and a way to take it back. */
class QueueItem extends HTMLElement {
  connectedCallback() {
    this.setAttribute("role", "listitem");
  }

  /** @param {any} response */
  update(response) {
    const state = JSON.stringify([response, this.mayAct]);
    this.response = response;
    if (state === this.shown) return;
    this.shown = state;
    const outcome = response.outcome;
    this.dataset.tone = tone(response);
    const reached = STEPS.indexOf(response.state);
    const reason = words(outcome?.reason || response.reason || outcome?.code || "");
    const heard = outcome?.heard_ms ? `heard ${seconds(outcome.heard_ms)}` : "";
    const pairs = Object.entries(response.metadata ?? {}).filter(([key]) => !key.startsWith("va."));
    fill(
      this,
      h(
        "div",
        { class: "line" },
        h("span", { class: "chip" }, words(response.state)),
        h("span", { class: "origin" }, words(response.origin)),
        h("span", { class: "reason", dir: "auto" }, [reason, heard].filter(Boolean).join(" · ")),
        (this.wait = h("span", { class: "num quiet", title: "has waited for" })),
        !response.ended &&
          this.mayAct &&
          h(
            "button",
            { type: "button", class: "small", "aria-label": `Cancel ${response.id}`, onclick: () => this.cancel(response) },
            "Cancel",
          ),
      ),
      this.dataset.tone === "running" &&
        h(
          "div",
          { class: "steps", role: "img", "aria-label": `Step ${reached + 1} of ${STEPS.length}: ${response.state}` },
          STEPS.map((step, at) => h("i", { class: at <= reached ? "on" : null, title: step })),
        ),
      response.instructions && h("p", { class: "wish", dir: "auto" }, response.instructions),
      pairs.length > 0 &&
        h(
          "p",
          { class: "pairs", dir: "auto" },
          pairs.map(([key, value]) => h("span", null, h("b", null, key), ` ${value}`)),
        ),
      (this.problem = h("p", { class: "problem", role: "alert" })),
    );
    this.tick();
  }

  tick() {
    if (this.wait) setText(this.wait, waited(this.response, Date.now() / 1000));
  }

  /** @param {any} response */
  async cancel(response) {
    try {
      await api.withdraw(response.call_id, response.id);
    } catch (problem) {
      if (this.problem) setText(this.problem, /** @type {Error} */ (problem).message);
    }
  }
}

/** @param {any} response */
function tone(response) {
  if (!response.ended) return STEPS.indexOf(response.state) >= 2 ? "running" : "waiting";
  const kind = response.outcome?.kind;
  if (kind === "completed" || kind === "satisfied") return "done";
  if (kind === "interrupted") return "cut";
  if (kind === "rejected" || kind === "failed" || kind === "lost" || kind === "expired") return "failed";
  return "gone";
}

/** Running first, then waiting in their order, then what ended, newest on top. */
class Queue extends HTMLElement {
  connectedCallback() {
    if (this.list) return;
    this.list = h("div", { role: "list", class: "queue", "aria-label": "Responses" });
    this.tabIndex = -1;
    this.empty = h("p", { class: "quiet pad" }, "No responses yet.");
    fill(this, this.empty, this.list);
  }

  /** @param {any} call @param {boolean} mayAct */
  update(call, mayAct) {
    if (!this.list || !this.empty) return;
    const rank = (/** @type {any} */ r) => ({ running: 0, waiting: 1 })[tone(r)] ?? 2;
    const order = call.responses.map((/** @type {any} */ response, /** @type {number} */ at) => ({ response, at }));
    order.sort((/** @type {any} */ a, /** @type {any} */ b) => {
      const by = rank(a.response) - rank(b.response);
      return by || (rank(a.response) === 2 ? b.at - a.at : a.at - b.at);
    });
    const items = order.map((/** @type {any} */ one) => one.response);
    for (const item of this.list.children) /** @type {any} */ (item).mayAct = mayAct;
    reconcile(this.list, items, (r) => r.id, () => {
      const item = /** @type {any} */ (document.createElement("va-queue-item"));
      item.mayAct = mayAct;
      return item;
    });
    this.empty.hidden = items.length > 0;
  }

  tick() {
    for (const item of this.list?.children ?? []) /** @type {any} */ (item).tick();
  }
}
customElements.define("va-queue-item", QueueItem);
customElements.define("va-queue", Queue);
