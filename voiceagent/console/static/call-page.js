// @ts-check
import { api } from "./api.js";
import { fill, h, setText } from "./dom.js";
import { clock, figure, timeOfDay, words } from "./format.js";
import { party, showWay, stage, stateWords } from "./floor-list.js";
import { talkTime } from "./store.js";
import "./call-actions.js";
import "./queue.js";
import "./transcript.js";
import "./trigger-form.js";

/** One call: who, where in the flow, what was said, what is about to be said, and what an operator can do. */
class CallPage extends HTMLElement {
  connectedCallback() {
    if (this.body) return;
    this.who = h("h2", { class: "caller", tabindex: -1 });
    this.way = h("span", { class: "way", role: "img" });
    this.actions = /** @type {any} */ (document.createElement("va-call-actions"));
    this.handing = h("p", { class: "handing", role: "status" });
    this.facts = h("dl", { class: "facts" });
    this.floor = h("span", { class: "floor" });
    this.time = h("span", { class: "num time" });
    this.hangUpButton = h("button", { type: "button", class: "danger", onclick: () => this.ask() }, "Hang up");
    this.dialog = /** @type {HTMLDialogElement} */ (
      h(
        "dialog",
        { "aria-labelledby": "hangup-title" },
        h("h3", { id: "hangup-title" }, "Hang up this call?"),
        (this.dialogText = h("p", { class: "quiet" })),
        h(
          "form",
          { method: "dialog", class: "line end" },
          h("button", { value: "no" }, "Keep talking"),
          h("button", { value: "yes", class: "danger" }, "Hang up"),
        ),
      )
    );
    this.dialog.addEventListener("close", () => void this.decided());
    this.problem = h("p", { class: "problem", role: "alert" });
    this.ending = h("p", { class: "ending", role: "status" });
    this.figures = h("dl", { class: "figures" });
    this.transcript = /** @type {any} */ (document.createElement("va-transcript"));
    this.queue = /** @type {any} */ (document.createElement("va-queue"));
    this.form = /** @type {any} */ (document.createElement("va-trigger-form"));
    this.speak = h("section", { class: "panel", "aria-label": "Make the agent speak" }, h("h3", null, "Make the agent speak"), this.form);
    this.counts = h("span", { class: "quiet" });
    this.body = h(
      "div",
      { class: "call" },
      h(
        "header",
        { class: "call-head" },
        h("a", { href: "#/", class: "back", "aria-label": "Back to all calls" }, "‹ Calls"),
        this.way,
        this.who,
        this.floor,
        this.time,
        h("span", { class: "grow" }),
        this.actions,
        this.hangUpButton,
      ),
      this.problem,
      this.handing,
      this.ending,
      this.facts,
      h(
        "div",
        { class: "columns" },
        h("section", { class: "panel talk", "aria-label": "Conversation" }, h("h3", null, "Transcript"), this.transcript),
        h(
          "div",
          { class: "side" },
          this.speak,
          h("section", { class: "panel waiting", "aria-label": "Response queue" }, h("h3", { class: "line" }, "Responses", this.counts), this.queue),
          this.figures,
        ),
      ),
      this.dialog,
    );
    this.nothing = h(
      "div",
      { class: "empty" },
      (this.nothingTitle = h("p", null, "Pick a call.")),
      (this.nothingText = h("p", { class: "quiet" }, "Its transcript and its response queue appear here, live.")),
    );
    fill(this, this.nothing, this.body);
  }

  ask() {
    if (!this.call || !this.dialogText) return;
    setText(this.dialogText, `${party(this.call)} has been on for ${clock(talkTime(this.call))}.`);
    if (this.dialog) this.dialog.returnValue = "no";
    this.dialog?.showModal();
  }

  async decided() {
    if (this.dialog?.returnValue !== "yes" || !this.call || !this.problem) return;
    setText(this.problem, "");
    try {
      await api.hangUp(this.call.id);
    } catch (problem) {
      setText(this.problem, /** @type {Error} */ (problem).message);
    }
  }

  /** @param {import("./store.js").Store} store */
  update(store) {
    const call = store.detail;
    const mayAct = store.rights.includes("act");
    if (!this.body || !this.nothing || !this.nothingTitle || !this.nothingText) return;
    this.body.hidden = !call;
    this.nothing.hidden = Boolean(call) || (Boolean(store.openId) && !store.missing);
    setText(this.nothingTitle, store.missing ? "This call is not known here." : "Pick a call.");
    setText(
      this.nothingText,
      store.missing ? "Ended calls are kept for a while only." : "Its transcript and its response queue appear here, live.",
    );
    if (!call) {
      this.call = null;
      return;
    }
    const fresh = this.call?.id !== call.id;
    this.call = call;
    this.show(call, mayAct);
    if (fresh) {
      setText(/** @type {Element} */ (this.problem), "");
      if (this.dialog?.open) this.dialog.close("no");
    }
  }

  /** @param {any} call @param {boolean} mayAct */
  show(call, mayAct) {
    const ended = call.state === "ended";
    setText(/** @type {Element} */ (this.who), party(call));
    if (this.way) showWay(this.way, call);
    this.actions.update(call, mayAct);
    this.showHanding(call.transfer);
    if (this.floor) {
      setText(this.floor, ended ? "ended" : stateWords(call));
      this.floor.dataset.floor = stage(call);
    }
    if (this.hangUpButton) this.hangUpButton.hidden = ended || !mayAct;
    if (this.speak) this.speak.hidden = ended || !mayAct;
    if (this.ending) {
      const why = [words(call.outcome?.kind), call.outcome?.reason && words(call.outcome.reason)].filter(Boolean);
      setText(this.ending, ended ? `Ended: ${why.join(" · ") || "no outcome known"}` : "");
      this.ending.hidden = !ended;
    }
    const facts = [
      call.direction === "outbound" ? ["Calling as", call.caller] : ["Called", call.called],
      ["Trunk", call.trunk],
      ["Flow", call.flow],
      ["Step", call.step],
      ["Began", call.started_at ? timeOfDay(call.started_at) : ""],
      ["Leg", call.kind],
      ["Provider", call.provider],
      ["Call", call.id],
    ].filter(([, value]) => value);
    fill(/** @type {Element} */ (this.facts), facts.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))));
    const figures = Object.entries(call.figures ?? {});
    if (this.figures) {
      this.figures.hidden = figures.length === 0;
      fill(this.figures, figures.map(([name, value]) => h("div", null, h("dt", null, words(name)), h("dd", { class: "num" }, figure(value)))));
    }
    this.transcript.update(call);
    this.queue.update(call, mayAct && !ended);
    this.form.use?.(call.id);
    const alive = call.responses.filter((/** @type {any} */ r) => !r.ended).length;
    setText(/** @type {Element} */ (this.counts), alive ? `${alive} alive, ${call.responses.length} in all` : `${call.responses.length}`);
    this.tick();
  }

  /** @param {any} transfer the newest one of the call */
  showHanding(transfer) {
    if (!this.handing) return;
    this.handing.hidden = !transfer;
    if (!transfer) return;
    this.handing.dataset.state = transfer.state;
    const news = [transfer.status, transfer.reason].filter(Boolean).join(" ");
    const begin = { trying: "Handing over to", done: "Handed over to", failed: "Not handed over to" }[
      /** @type {"trying" | "done" | "failed"} */ (transfer.state)
    ];
    setText(this.handing, [`${begin} ${transfer.target}`, news].filter(Boolean).join(": "));
  }

  tick() {
    if (this.call && this.time) setText(this.time, clock(talkTime(this.call)));
  }
}
customElements.define("va-call-page", CallPage);
