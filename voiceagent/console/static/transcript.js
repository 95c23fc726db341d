// @ts-check
import { fill, h, reconcile, setText } from "./dom.js";
import { clock, words } from "./format.js";

/**
 * Where hearing stopped: what was heard, and what was generated but never heard.
 * @param {any} line
 * @returns {[string, string]}
 */
export function heardAndLost(line) {
  const full = line.full_text || line.text;
  if (!line.cut) return [line.text || full, ""];
  if (full.startsWith(line.text)) return [line.text, full.slice(line.text.length)];
  return [line.text, ""];
}

class TranscriptLine extends HTMLElement {
  connectedCallback() {
    this.setAttribute("role", "listitem");
  }

  /** @param {any} line */
  update(line) {
    const state = JSON.stringify(line);
    if (state === this.shown) return;
    this.shown = state;
    this.dataset.speaker = line.speaker;
    const [heard, lost] = heardAndLost(line);
    fill(
      this,
      h("span", { class: "num at" }, clock(line.at)),
      h("span", { class: "speaker" }, words(line.speaker)),
      h(
        "span",
        { class: "said", dir: "auto" },
        heard,
        line.cut && h("span", { class: "cut", title: "Here the caller stopped hearing" }),
        lost && h("del", { title: "Generated, but never heard" }, lost.trimStart()),
        line.cut && h("span", { class: "visually-hidden" }, " (cut off here)"),
      ),
    );
  }
}

/** What was said, by whom; stays at the end unless the reader scrolled up. */
class Transcript extends HTMLElement {
  connectedCallback() {
    if (this.list) return;
    this.list = h("div", { role: "list", class: "lines" });
    this.scroller = h(
      "div",
      { class: "scroller", role: "log", "aria-live": "polite", "aria-label": "Transcript", tabindex: 0 },
      this.list,
    );
    this.empty = h("p", { class: "quiet pad" }, "Nothing has been said yet.");
    this.jump = h("button", { class: "jump", type: "button", hidden: true, onclick: () => this.toEnd() }, "↓ Newest");
    this.scroller.addEventListener("scroll", () => this.sense());
    this.following = true;
    fill(this, this.empty, this.scroller, this.jump);
  }

  sense() {
    if (!this.scroller || !this.jump) return;
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    this.following = scrollHeight - scrollTop - clientHeight < 40;
    this.jump.hidden = this.following;
  }

  toEnd() {
    if (!this.scroller) return;
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  /** @param {any} call */
  update(call) {
    if (!this.list || !this.empty || !this.scroller) return;
    if (this.callId !== call.id) {
      this.callId = call.id;
      this.following = true;
      this.list.replaceChildren();
    }
    const key = (/** @type {any} */ line) => line.item_id || `${line.at}/${line.speaker}/${line.text}`;
    reconcile(this.list, call.transcript, key, () => /** @type {any} */ (document.createElement("va-line")));
    this.empty.hidden = call.transcript.length > 0;
    this.scroller.hidden = call.transcript.length === 0;
    setText(this.empty, call.state === "ended" ? "Nothing was said." : "Nothing has been said yet.");
    if (this.following) this.toEnd();
  }
}
customElements.define("va-line", TranscriptLine);
customElements.define("va-transcript", Transcript);
