// @ts-check
import { api, newKey } from "./api.js";
import { fill, h, setText } from "./dom.js";
import { words } from "./format.js";
import { clearProblems, showProblem } from "./problem.js";
import "./presets.js";

const WHEN = [
  ["idle", "when idle"],
  ["after_playback", "after playback"],
  ["now", "now, interrupting"],
  ["note", "only note it"],
];

/** Makes the model speak: instructions, metadata, when. Shows a refusal beside the field that caused it. */
class TriggerForm extends HTMLElement {
  connectedCallback() {
    if (this.form) return;
    this.text = /** @type {HTMLTextAreaElement} */ (
      h("textarea", {
        id: "instructions",
        rows: 2,
        dir: "auto",
        placeholder: "Tell the caller that …",
        "aria-describedby": "instructions-problem",
        onkeydown: (/** @type {KeyboardEvent} */ event) => {
          if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.repeat) this.form?.requestSubmit();
        },
      })
    );
    this.when = /** @type {HTMLSelectElement} */ (
      h("select", { id: "when", "aria-label": "When", "aria-describedby": "when-problem" }, WHEN.map(([value, name]) => h("option", { value }, name)))
    );
    this.presets = /** @type {any} */ (document.createElement("va-presets"));
    this.presets.addEventListener("pick", (/** @type {CustomEvent} */ event) => this.take(event.detail));
    this.deadline = /** @type {HTMLInputElement} */ (
      h("input", { id: "deadline", type: "number", min: "0.1", max: "3600", step: "0.1", inputmode: "decimal", placeholder: "no limit" })
    );
    this.coalesce = /** @type {HTMLInputElement} */ (h("input", { id: "coalesce", maxlength: 64, spellcheck: "false", autocomplete: "off", placeholder: "nothing" }));
    this.rows = h("div", { class: "metadata" });
    this.state = h("p", { class: "quiet", role: "status" });
    this.button = /** @type {HTMLButtonElement} */ (
      h(
        "button",
        {
          type: "submit",
          class: "primary",
          // The second click of a double click would send what the first one left: nothing, or the next wish.
          onclick: (/** @type {MouseEvent} */ event) => event.detail > 1 && event.preventDefault(),
        },
        "Send",
      )
    );
    this.form = /** @type {HTMLFormElement} */ (
      h(
        "form",
        { class: "trigger", onsubmit: (/** @type {Event} */ event) => this.send(event) },
        h("label", { for: "instructions", class: "visually-hidden" }, "Instructions"),
        this.text,
        h("p", { class: "problem", id: "instructions-problem", "data-problem": "instructions" }),
        h("div", { class: "line send" }, this.presets, h("span", { class: "grow" }), this.when, this.button),
        h("p", { class: "problem", id: "when-problem", "data-problem": "when" }),
        (this.more = h("details", { class: "more" }, h("summary", null, "Deadline, replacing, metadata"))),
        h("p", { class: "problem", "data-problem": "metadata" }),
        h("p", { class: "problem", role: "alert", "data-problem": "" }),
        (this.before = h("ul", { class: "before" })),
        this.state,
      )
    );
    fill(this, this.form);
  }

  /** @param {string[]} rights of the one who is signed in */
  begin(rights) {
    if (this.begun || !this.more) return;
    this.begun = true;
    this.presets.begin(rights.includes("manage"), () => this.held());
    this.append(this.presets.dialog);
    const body = h(
      "div",
      null,
      h(
        "div",
        { class: "options" },
        h("label", { for: "deadline" }, "Give up after, s"),
        this.deadline,
        h("label", { for: "coalesce" }, "Replace what waits as"),
        this.coalesce,
      ),
      h("p", { class: "problem", "data-problem": "deadline_ms" }),
      h("p", { class: "problem", "data-problem": "coalesce" }),
      this.rows,
      h(
        "div",
        { class: "line" },
        h("button", { type: "button", class: "small", onclick: () => this.addRow("", "", true) }, "+ Metadata"),
        h("span", { class: "grow" }),
        this.presets.manage,
      ),
    );
    this.more.append(body);
  }

  /** @param {string} callId */
  use(callId) {
    if (this.callId === callId) return;
    this.callId = callId;
    this.key = "";
    if (this.state) setText(this.state, "");
    clearProblems(/** @type {Element} */ (this.form));
  }

  /** Fill the form by a preset. @param {any} preset */
  take(preset) {
    if (!this.text || !this.when) return;
    clearProblems(/** @type {Element} */ (this.form));
    this.text.value = preset.instructions;
    this.when.value = preset.note_only ? "note" : preset.when;
    this.rows?.replaceChildren();
    for (const [key, value] of Object.entries(preset.metadata ?? {})) this.addRow(key, String(value), false);
    this.text.focus();
  }

  /** @param {string} name @param {string} content @param {boolean} focus */
  addRow(name, content, focus) {
    const key = /** @type {HTMLInputElement} */ (h("input", { placeholder: "key", "aria-label": "Metadata key", name: "key", spellcheck: "false" }));
    const value = /** @type {HTMLInputElement} */ (h("input", { placeholder: "value", "aria-label": "Metadata value", name: "value", spellcheck: "false" }));
    key.value = name;
    value.value = content;
    const row = h("div", { class: "pair" }, key, value, h("button", { type: "button", class: "small", "aria-label": "Remove this pair", onclick: () => row.remove() }, "×"));
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

  /** What the form holds, without what is of this one call only. @returns {Record<string, any>} */
  held() {
    const note = this.when?.value === "note";
    return {
      instructions: this.text?.value.trim() ?? "",
      metadata: this.metadata(),
      when: note ? "idle" : this.when?.value,
      note_only: note,
    };
  }

  /** @returns {Record<string, any>} */
  wish() {
    const { instructions, metadata, when, note_only: note } = this.held();
    /** @type {Record<string, any>} */
    const wish = { instructions, when };
    if (Object.keys(metadata).length) wish.metadata = metadata;
    if (note) wish.note_only = true;
    if (this.deadline?.value) wish.deadline_ms = Math.round(Number(this.deadline.value) * 1000);
    if (this.coalesce?.value.trim()) wish.coalesce = this.coalesce.value.trim();
    return wish;
  }

  /** @param {Event} event */
  async send(event) {
    event.preventDefault();
    if (!this.callId || !this.text || !this.button || !this.state || this.button.disabled) return;
    clearProblems(/** @type {Element} */ (this.form));
    this.before?.replaceChildren();
    const wish = this.wish();
    if (!wish.instructions) {
      this.text.focus();
      setText(this.state, "Say first what the agent is to tell the caller.");
      return;
    }
    // The same wish sent again after a broken answer keeps its key, so it is spoken once.
    const callId = this.callId;
    const body = JSON.stringify([callId, wish]);
    if (this.lastBody !== body || !this.key) this.key = newKey();
    this.lastBody = body;
    this.button.disabled = true;
    try {
      const answer = await api.trigger(callId, wish, this.key);
      this.key = "";
      // Whoever has gone on writing meanwhile keeps what is written; the words that were sent go in any case.
      const now = this.wish();
      if (JSON.stringify([this.callId, now]) === body) this.clear();
      else if (this.callId === callId && now.instructions === wish.instructions) this.text.value = "";
      setText(this.state, wish.note_only ? "Noted." : `Accepted as ${answer.request_id}.`);
    } catch (problem) {
      setText(this.state, "");
      this.show(/** @type {any} */ (problem));
    } finally {
      this.button.disabled = false;
    }
  }

  clear() {
    if (this.text) this.text.value = "";
    this.rows?.replaceChildren();
    if (this.deadline && this.coalesce) this.deadline.value = this.coalesce.value = "";
    this.presets.clear();
  }

  /** @param {import("./api.js").Problem} problem */
  show(problem) {
    if (problem.status) this.key = "";
    const fields = { instructions: this.text, when: this.when, deadline_ms: this.deadline, coalesce: this.coalesce };
    if (["deadline_ms", "coalesce"].includes(problem.field)) this.more?.setAttribute("open", "");
    showProblem(/** @type {Element} */ (this.form), problem, fields);
    const before = problem.before.map((one) => h("li", { dir: "auto" }, [one.origin, one.state, one.reason].filter(Boolean).map(words).join(" · ")));
    this.before?.replaceChildren(...before);
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
