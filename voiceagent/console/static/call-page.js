// @ts-check
import { api } from "./api.js";
import { fill, h, reconcile, setText } from "./dom.js";
import { clock, figure, timeOfDay, words } from "./format.js";
import { party, showWay, stateWords } from "./floor-row.js";
import { nowOf } from "./now.js";
import { talkTime } from "./store.js";
import { TimelineFeed } from "./timeline-feed.js";
import "./call-actions.js";
import "./queue.js";
import "./tags.js";
import "./transcript.js";
import "./trigger-form.js";
import "./turns.js";

/** One call: who, where in the flow, what was said, what is about to be said, and what an operator can do. */
class CallPage extends HTMLElement {
  connectedCallback() {
    if (this.body) return;
    this.makeParts();
    this.makeDialog();
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
        h("div", { class: "deeds" }, this.listen, this.actions, this.hangUpButton),
      ),
      this.problem,
      this.handing,
      this.ending,
      this.now,
      h("div", { class: "about" }, this.facts, this.tags),
      h(
        "div",
        { class: "columns" },
        h(
          "div",
          { class: "main-side" },
          this.timelinePanel,
          h("section", { class: "panel talk", "aria-label": "Conversation" }, h("h3", null, "Transcript"), this.transcript),
        ),
        h(
          "div",
          { class: "side" },
          this.speak,
          h("section", { class: "panel waiting", "aria-label": "Response queue" }, h("h3", { class: "line" }, "Responses", this.counts), this.queue),
          this.turns,
          this.quality,
        ),
      ),
      this.dialog,
    );
    this.nothing = h(
      "div",
      { class: "empty" },
      (this.nothingTitle = h("p", null, "Fetching the call …")),
      (this.nothingText = h("p", { class: "quiet" })),
      h("a", { href: "#/" }, "All calls"),
    );
    fill(this, this.nothing, this.body);
    this.feed = new TimelineFeed((timeline) => this.showTimeline(timeline));
    void this.mount("./listen.js", "va-listen", this.listen, (element) => (this.listening = element));
    void this.mount("./timeline.js", "va-timeline", this.timelinePanel, (element) => (this.timeline = element));
  }

  makeParts() {
    this.who = h("h2", { class: "caller", tabindex: -1, dir: "auto" });
    this.way = h("span", { class: "way", role: "img" });
    this.actions = /** @type {any} */ (document.createElement("va-call-actions"));
    this.listen = h("span", { class: "line" });
    this.handing = h("p", { class: "handing", role: "status" });
    this.facts = h("dl", { class: "facts" });
    this.tags = /** @type {any} */ (document.createElement("va-tags"));
    this.floor = h("span", { class: "floor" });
    this.time = h("span", { class: "num time" });
    this.hangUpButton = h("button", { type: "button", class: "danger", onclick: () => this.ask() }, "Hang up");
    this.problem = h("p", { class: "problem", role: "alert" });
    this.ending = h("p", { class: "ending", role: "status" });
    this.nowText = h("strong", { dir: "auto" });
    this.nextText = h("span", { dir: "auto" });
    this.now = h("p", { class: "now" }, this.nowText, this.nextText);
    this.timelinePanel = h("section", { class: "panel", "aria-label": "Time line", hidden: true });
    this.transcript = /** @type {any} */ (document.createElement("va-transcript"));
    this.queue = /** @type {any} */ (document.createElement("va-queue"));
    this.form = /** @type {any} */ (document.createElement("va-trigger-form"));
    this.speak = h("section", { class: "panel", "aria-label": "Make the agent speak" }, h("h3", null, "Make the agent speak"), this.form);
    this.counts = h("span", { class: "quiet" });
    this.turns = /** @type {any} */ (document.createElement("va-turns"));
    this.turns.classList.add("panel");
    this.figures = h("dl", { class: "figures" });
    this.quality = h("section", { class: "panel", "aria-label": "Quality" }, h("h3", null, "Quality"), this.figures);
  }

  makeDialog() {
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
  }

  /** A part that not every console has. @param {string} file @param {string} tag @param {HTMLElement | undefined} place @param {(element: any) => void} keep */
  async mount(file, tag, place, keep) {
    try {
      await import(file);
    } catch {
      return;
    }
    const element = document.createElement(tag);
    place?.append(element);
    keep(element);
    if (this.store) this.update(this.store);
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
    this.store = store;
    const call = store.detail;
    if (!this.body || !this.nothing || !this.nothingTitle || !this.nothingText) return;
    this.body.hidden = !call;
    this.nothing.hidden = Boolean(call);
    this.feed?.follow(call);
    if (!call) {
      this.call = null;
      this.listening?.stop?.();
      const trouble = store.trouble && "The call cannot be fetched.";
      setText(this.nothingTitle, store.missing ? "This call is not known here." : trouble || "Fetching the call …");
      const where = "Ended calls are kept here for a while only; look into the history.";
      setText(this.nothingText, store.missing ? where : store.trouble && `${store.trouble} It is tried again by itself.`);
      return;
    }
    const fresh = this.call?.id !== call.id;
    this.call = call;
    if (fresh) {
      this.form.begin(store.rights);
      setText(/** @type {Element} */ (this.problem), "");
      if (this.dialog?.open) this.dialog.close("no");
      this.scrollTop = 0;
    }
    this.show(call, store.rights);
  }

  /** @param {any} call @param {string[]} rights */
  show(call, rights) {
    const ended = call.state === "ended";
    const mayAct = rights.includes("act");
    setText(/** @type {Element} */ (this.who), party(call));
    if (this.way) showWay(this.way, call);
    this.actions.update(call, mayAct);
    this.listening?.update?.(call, rights);
    this.tags.update(call, mayAct);
    this.showHanding(call.transfer);
    if (this.hangUpButton) this.hangUpButton.hidden = ended || !mayAct;
    if (this.speak) this.speak.hidden = ended || !mayAct;
    if (this.floor) setText(this.floor, ended ? "ended" : stateWords(call));
    const facts = [
      call.direction === "outbound" ? ["Calling as", call.caller] : ["Called", call.called],
      ["Trunk", call.trunk],
      ["Flow", call.flow],
      ["Step", call.step],
      ["Began", call.started_at ? timeOfDay(call.started_at) : ""],
      ["Leg", call.kind],
      ["Provider", call.provider],
      ["Recording", call.recording?.state],
      ["Heard by", (call.listeners ?? []).map((/** @type {any} */ one) => one.name).join(", ")],
      ["Call", call.id],
    ].filter(([, value]) => value);
    pairs(/** @type {Element} */ (this.facts), facts);
    const figures = Object.entries(call.figures ?? {}).map(([name, value]) => [words(name), figure(value)]);
    if (this.quality) this.quality.hidden = figures.length === 0;
    pairs(/** @type {Element} */ (this.figures), figures);
    this.transcript.update(call);
    this.queue.update(call, mayAct && !ended);
    this.form.use?.(call.id);
    const alive = call.responses.filter((/** @type {any} */ r) => !r.ended).length;
    setText(/** @type {Element} */ (this.counts), alive ? `${alive} alive, ${call.responses.length} in all` : `${call.responses.length}`);
    this.tick();
  }

  /** Another page is shown. Nobody is listened to unseen; whoever speaks in the call goes on. */
  hide() {
    if (!this.listening?.mine) this.listening?.stop?.();
  }

  /** @param {any} timeline null where there is none */
  showTimeline(timeline) {
    this.turns?.update(timeline);
    if (!this.timelinePanel) return;
    this.timelinePanel.hidden = !timeline || !this.timeline;
    if (timeline) this.timeline?.update(timeline);
  }

  /** @param {any} transfer the newest one of the call */
  showHanding(transfer) {
    if (!this.handing) return;
    this.handing.hidden = !transfer;
    if (!transfer) return;
    this.handing.dataset.state = transfer.state;
    const news = [transfer.status, transfer.reason].filter(Boolean).join(" ");
    const begin = transfer.state === "failed" ? "Not handed over to" : transfer.state === "done" ? "Handed over to" : "Handing over to";
    setText(this.handing, [`${begin} ${transfer.target}`, news].filter(Boolean).join(": "));
  }

  tick() {
    if (!this.call || !this.time || !this.now || !this.nowText || !this.nextText || !this.ending || !this.floor) return;
    setText(this.time, clock(talkTime(this.call)));
    const { stage, now, next } = nowOf(this.call, Date.now() / 1000);
    this.floor.dataset.floor = stage;
    this.now.dataset.floor = stage;
    this.now.hidden = stage === "ended";
    this.ending.hidden = stage !== "ended";
    setText(this.ending, stage === "ended" ? now : "");
    setText(this.nowText, stage === "ended" ? "" : now);
    setText(this.nextText, next);
    this.queue?.tick();
  }

  /** A key of the keyboard that stands for a deed. @param {string} key */
  key(key) {
    if (!this.call) return false;
    if (key === "s" && this.speak && !this.speak.hidden) {
      this.form.text.focus();
      return true;
    }
    if (key === "x" && this.hangUpButton && !this.hangUpButton.hidden) {
      this.ask();
      return true;
    }
    return Boolean(this.actions.key(key) || this.listening?.key?.(key));
  }
}

/** Names and values, one element each, changed in place. @param {Element} list @param {any[][]} entries */
function pairs(list, entries) {
  reconcile(list, entries, ([name]) => name, ([name]) => {
    const value = h("dd", { class: "num", dir: "auto" });
    return Object.assign(h("div", null, h("dt", { dir: "auto" }, name), value), { update: (/** @type {any[]} */ entry) => setText(value, entry[1]) });
  });
}
customElements.define("va-call-page", CallPage);
