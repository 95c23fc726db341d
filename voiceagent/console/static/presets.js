// @ts-check
import { api } from "./api.js";
import { deedDialog } from "./deed-dialog.js";
import { fill, h, setText } from "./dom.js";

/** Triggers at hand: pick one to fill the form. Who may manage saves what the form holds, or removes one. */
class Presets extends HTMLElement {
  /** @param {boolean} mayManage @param {() => any} held what the form holds, as a preset without its name */
  begin(mayManage, held) {
    if (this.select) return;
    this.mayManage = mayManage;
    /** @type {any[]} */
    this.all = [];
    this.select = /** @type {HTMLSelectElement} */ (h("select", { "aria-label": "Preset", onchange: () => this.pick() }));
    const name = /** @type {HTMLInputElement} */ (h("input", { id: "preset-name", required: true, maxlength: 80, autocomplete: "off" }));
    this.dialog = deedDialog(
      "Keep this at hand",
      "Save",
      [
        h("label", { for: "preset-name" }, "Name"),
        name,
        h("p", { class: "problem", "data-problem": "name" }),
        h("p", { class: "problem", "data-problem": "instructions" }),
        h("p", { class: "problem", "data-problem": "metadata" }),
      ],
      { name },
      async () => {
        await api.savePreset({ name: name.value.trim(), ...held() });
        await this.load();
      },
    );
    this.dialog.addEventListener("close", () => (name.value = ""));
    this.manage = h(
      "span",
      { class: "line", hidden: !mayManage },
      h("button", { type: "button", class: "small", onclick: () => this.dialog?.showModal() }, "Save as preset"),
      (this.away = h("button", { type: "button", class: "small", hidden: true, onclick: () => void this.remove_() }, "Remove preset")),
    );
    this.problem = h("span", { class: "problem", role: "alert" });
    // The dialog has a form of its own and stands outside ours.
    fill(this, this.select, this.problem);
    this.hidden = true;
    void this.load();
  }

  async load() {
    // Without a database, or without this part of the console, there are none.
    const found = await api.presets().catch(() => null);
    this.hidden = found === null;
    if (this.manage && found === null) this.manage.hidden = true;
    if (found === null || !this.select || !this.away) return;
    this.all = found.presets;
    fill(this.select, h("option", { value: "" }, this.all.length ? "Presets" : "No presets yet"), this.all.map((preset) => h("option", { value: preset.id }, preset.name)));
    this.select.disabled = this.all.length === 0;
    this.away.hidden = true;
  }

  pick() {
    const preset = this.all?.find((one) => one.id === this.select?.value);
    if (this.away) this.away.hidden = !preset;
    if (preset) this.dispatchEvent(new CustomEvent("pick", { detail: preset }));
  }

  async remove_() {
    if (!this.problem || !this.select) return;
    setText(this.problem, "");
    try {
      await api.removePreset(this.select.value);
      await this.load();
    } catch (problem) {
      setText(this.problem, /** @type {Error} */ (problem).message);
    }
  }

  /** Nothing is picked any more: the form was sent. */
  clear() {
    if (this.select) this.select.value = "";
    if (this.away) this.away.hidden = true;
  }
}
customElements.define("va-presets", Presets);
