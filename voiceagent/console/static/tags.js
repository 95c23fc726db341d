// @ts-check
import { api } from "./api.js";
import { fill, h, reconcile, setText } from "./dom.js";

/** What operators wrote on a call, and a place to write more. */
class Tags extends HTMLElement {
  connectedCallback() {
    if (this.list) return;
    this.list = h("span", { role: "list", class: "tags", "aria-label": "Tags" });
    this.input = /** @type {HTMLInputElement} */ (h("input", { "aria-label": "New tag", placeholder: "+ tag", maxlength: 64, autocomplete: "off" }));
    this.form = h("form", { onsubmit: (/** @type {Event} */ event) => this.add(event) }, this.input);
    this.problem = h("span", { class: "problem", role: "alert" });
    fill(this, this.list, this.form, this.problem);
  }

  /** @param {any} call @param {boolean} mayAct */
  update(call, mayAct) {
    if (!this.list || !this.form || !this.problem || !this.input) return;
    if (this.call?.id !== call.id) {
      this.input.value = "";
      setText(this.problem, "");
    }
    this.call = call;
    const make = (/** @type {string} */ tag) => {
      const away = h("button", { type: "button", class: "away", "aria-label": `Remove tag ${tag}`, onclick: () => this.does(() => api.removeTag(this.call.id, tag)) }, "×");
      return Object.assign(h("span", { class: "tag", role: "listitem" }, h("bdi", null, tag), away), { away });
    };
    reconcile(this.list, call.tags ?? [], String, make);
    for (const item of this.list.children) /** @type {any} */ (item).away.hidden = !mayAct;
    this.list.hidden = !call.tags?.length;
    this.form.hidden = !mayAct;
    this.hidden = !mayAct && !call.tags?.length;
  }

  /** @param {Event} event */
  async add(event) {
    event.preventDefault();
    const tag = this.input?.value.trim();
    const id = this.call?.id;
    if (!tag || !(await this.does(() => api.addTag(id, tag)))) return;
    // Whoever has gone on writing meanwhile, or to another call, keeps what is written.
    if (this.call?.id === id && this.input?.value.trim() === tag) this.input.value = "";
  }

  /** The answer has the tags as they are then. @param {() => Promise<any>} deed @returns {Promise<boolean>} */
  async does(deed) {
    if (!this.problem) return false;
    setText(this.problem, "");
    const call = this.call;
    try {
      const answer = await deed();
      if (answer?.tags) call.tags = answer.tags;
      if (this.call === call) this.update(call, true);
      return true;
    } catch (problem) {
      setText(this.problem, /** @type {Error} */ (problem).message);
      return false;
    }
  }
}
customElements.define("va-tags", Tags);
