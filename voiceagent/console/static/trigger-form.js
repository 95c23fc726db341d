// @ts-check
import { api, newKey } from "./api.js";
import { fill, h, setText } from "./dom.js";
import { clearProblems, showProblem } from "./problem.js";

/** Makes the model speak: instructions, metadata, when. Shows a refusal beside the field that caused it. */
class TriggerForm extends HTMLElement {
  connectedCallback() {
    if (this.form) return;
    this.text = /** @type {HTMLTextAreaElement} */ (
      h("textarea", {
        id: "instructions",
        rows: 3,
        placeholder: "Tell the caller that …",
        "aria-describedby": "instructions-problem",
        onkeydown: (/** @type {KeyboardEvent} */ event) => {
          if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.form?.requestSubmit();
        },
      })
    );
    this.when = /** @type {HTMLSelectElement} */ (
      h(
        "select",
        { id: "when", "aria-describedby": "when-problem" },
        h("option", { value: "idle" }, "when idle"),
        h("option", { value: "after_playback" }, "after playback"),
        h("option", { value: "now" }, "now, interrupting"),
      )
    );
    this.rows = h("div", { class: "metadata" });
    this.problem = h("p", { class: "problem", role: "alert", "data-problem": "" });
    this.state = h("p", { class: "quiet", role: "status" });
    this.button = /** @type {HTMLButtonElement} */ (h("button", { type: "submit", class: "primary" }, "Send"));
    this.form = /** @type {HTMLFormElement} */ (
      h(
        "form",
        { class: "trigger", onsubmit: (/** @type {Event} */ event) => this.send(event) },
        h("label", { for: "instructions" }, "Instructions"),
        this.text,
        h("p", { class: "problem", id: "instructions-problem", "data-problem": "instructions" }),
        this.rows,
        h("p", { class: "problem", "data-problem": "metadata" }),
        h(
          "div",
          { class: "line send" },
          h("button", { type: "button", class: "small", onclick: () => this.addRow(true) }, "+ Metadata"),
          h("span", { class: "grow" }),
          h("label", { for: "when", class: "visually-hidden" }, "When"),
          this.when,
          this.button,
        ),
        h("p", { class: "problem", id: "when-problem", "data-problem": "when" }),
        this.problem,
        this.state,
      )
    );
    fill(this, this.form);
  }

  /** @param {string} callId */
  use(callId) {
    if (this.callId === callId) return;
    this.callId = callId;
    this.key = "";
    if (this.state) setText(this.state, "");
    clearProblems(this);
  }

  /** @param {boolean} focus */
  addRow(focus) {
    const key = h("input", { placeholder: "key", "aria-label": "Metadata key", name: "key", spellcheck: "false" });
    const value = h("input", { placeholder: "value", "aria-label": "Metadata value", name: "value", spellcheck: "false" });
    const row = h(
      "div",
      { class: "pair" },
      key,
      value,
      h("button", { type: "button", class: "small", "aria-label": "Remove this pair", onclick: () => row.remove() }, "×"),
    );
    this.rows?.append(row);
    if (focus) key.focus();
  }

  /** @returns {Record<string, string>} */
  metadata() {
    /** @type {Record<string, string>} */
    const found = {};
    for (const row of this.rows?.children ?? []) {
      const [key, value] = /** @type {HTMLInputElement[]} */ ([...row.querySelectorAll("input")]);
      if (key.value || value.value) found[key.value] = value.value;
    }
    return found;
  }

  /** @param {Event} event */
  async send(event) {
    event.preventDefault();
    if (!this.callId || !this.text || !this.when || !this.button || !this.state) return;
    clearProblems(this);
    /** @type {Record<string, any>} */
    const wish = { when: this.when.value };
    if (this.text.value.trim()) wish.instructions = this.text.value.trim();
    const metadata = this.metadata();
    if (Object.keys(metadata).length) wish.metadata = metadata;
    // The same wish sent again after a broken answer keeps its key, so it is spoken once.
    const body = JSON.stringify([this.callId, wish]);
    if (this.lastBody !== body || !this.key) this.key = newKey();
    this.lastBody = body;
    this.button.disabled = true;
    try {
      const answer = await api.trigger(this.callId, wish, this.key);
      this.key = "";
      this.text.value = "";
      this.rows?.replaceChildren();
      setText(this.state, `Accepted as ${answer.request_id}.`);
    } catch (problem) {
      setText(this.state, "");
      this.show(/** @type {any} */ (problem));
    } finally {
      this.button.disabled = false;
    }
  }

  /** @param {import("./api.js").Problem} problem */
  show(problem) {
    if (problem.status) this.key = "";
    showProblem(this, problem, { instructions: this.text, when: this.when });
    if (problem.field.startsWith("metadata")) {
      const wanted = problem.field.slice("metadata.".length);
      for (const row of this.rows?.children ?? []) {
        const key = /** @type {HTMLInputElement} */ (row.querySelector("input"));
        if (key.value === wanted) key.setAttribute("aria-invalid", "true");
      }
    }
  }
}
customElements.define("va-trigger-form", TriggerForm);
