// @ts-check
import { api, newKey } from "./api.js";
import { fill, h, setText } from "./dom.js";
import { clearProblems, showProblem } from "./problem.js";

const KEYS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "0", "#"];

/** What an operator can do to a call beside making it speak: hold and resume, hand over, press keys. */
class CallActions extends HTMLElement {
  connectedCallback() {
    if (this.holdButton) return;
    this.holdButton = button("Hold", () => void this.hold());
    this.transferButton = button("Transfer", () => this.open(this.transferDialog));
    this.keysButton = button("Keys", () => this.open(this.keysDialog));
    this.problem = h("p", { class: "problem", role: "alert" });
    this.target = /** @type {HTMLInputElement} */ (
      h("input", { id: "target", autocomplete: "off", spellcheck: "false", placeholder: "sip:desk@pbx.example.com" })
    );
    this.attended = /** @type {HTMLInputElement} */ (h("input", { type: "checkbox", id: "attended" }));
    this.consult = h("label", { class: "check" }, this.attended, "Call them first, with music for the caller");
    this.transferDialog = this.dialog(
      "Hand the caller to",
      "Transfer",
      [
        h("label", { for: "target" }, "Number or SIP address"),
        this.target,
        h("p", { class: "problem", "data-problem": "target" }),
        this.consult,
        h("p", { class: "problem", "data-problem": "attended" }),
      ],
      { target: this.target },
      (id, key) => api.transfer(id, { target: this.target?.value.trim(), attended: Boolean(this.attended?.checked) }, key),
    );
    this.digits = /** @type {HTMLInputElement} */ (h("input", { id: "digits", autocomplete: "off", inputmode: "tel" }));
    const press = (/** @type {string} */ key) => {
      if (this.digits) this.digits.value += key;
    };
    this.keysDialog = this.dialog(
      "Press keys in this call",
      "Send",
      [
        h("label", { for: "digits" }, "Keys"),
        this.digits,
        h("p", { class: "problem", "data-problem": "digits" }),
        h("div", { class: "keypad" }, KEYS.map((key) => h("button", { type: "button", onclick: () => press(key) }, key))),
      ],
      { digits: this.digits },
      (id, key) => api.sendDigits(id, { digits: this.digits?.value.trim() }, key),
    );
    fill(this, this.holdButton, this.transferButton, this.keysButton, this.problem, this.transferDialog, this.keysDialog);
  }

  /**
   * A dialog with one deed. It stays open with the refusal, and closes when the deed is taken.
   * @param {string} title
   * @param {string} deed
   * @param {HTMLElement[]} parts
   * @param {Record<string, HTMLElement>} fields
   * @param {(id: string, key: string) => Promise<any>} act
   */
  dialog(title, deed, parts, fields, act) {
    const go = /** @type {HTMLButtonElement} */ (h("button", { type: "submit", class: "primary" }, deed));
    let key = "";
    const send = async (/** @type {Event} */ event) => {
      event.preventDefault();
      if (!this.call) return;
      clearProblems(dialog);
      key ||= newKey();
      go.disabled = true;
      try {
        await act(this.call.id, key);
        key = "";
        dialog.close();
      } catch (problem) {
        // Without an answer it may have been done: the next try is the same one.
        if (/** @type {any} */ (problem).status) key = "";
        showProblem(dialog, /** @type {any} */ (problem), fields);
      } finally {
        go.disabled = false;
      }
    };
    const dialog = /** @type {HTMLDialogElement} */ (
      h(
        "dialog",
        { "aria-label": title, oninput: () => (key = "") },
        h("h3", null, title),
        h(
          "form",
          { class: "fields", onsubmit: send },
          ...parts,
          h("p", { class: "problem", role: "alert", "data-problem": "" }),
          h("div", { class: "line end" }, button("Close", () => dialog.close()), go),
        ),
      )
    );
    return dialog;
  }

  /** @param {HTMLDialogElement | undefined} dialog */
  open(dialog) {
    if (!dialog) return;
    clearProblems(dialog);
    for (const input of dialog.querySelectorAll("input")) {
      input.value = "";
      input.checked = false;
    }
    dialog.showModal();
  }

  async hold() {
    if (!this.call || !this.problem || !this.holdButton) return;
    setText(this.problem, "");
    this.holdButton.disabled = true;
    try {
      await (this.call.held_by?.includes("us") ? api.resume(this.call.id) : api.hold(this.call.id));
    } catch (problem) {
      setText(this.problem, /** @type {Error} */ (problem).message);
    } finally {
      this.holdButton.disabled = false;
    }
  }

  /** @param {any} call @param {boolean} mayAct */
  update(call, mayAct) {
    const can = new Set(mayAct && call.state === "talking" ? call.abilities : []);
    if (this.call?.id !== call.id) {
      if (this.problem) setText(this.problem, "");
      this.transferDialog?.close();
      this.keysDialog?.close();
    }
    this.call = call;
    if (!this.holdButton || !this.transferButton || !this.keysButton || !this.consult) return;
    this.holdButton.hidden = !can.has("hold");
    setText(this.holdButton, call.held_by?.includes("us") ? "Resume" : "Hold");
    this.transferButton.hidden = !can.has("transfer");
    this.keysButton.hidden = !can.has("send_digits");
    this.consult.hidden = !can.has("consult");
    if (can.size === 0) {
      this.transferDialog?.close();
      this.keysDialog?.close();
    }
  }
}

/** @param {string} text @param {() => void} deed */
function button(text, deed) {
  return /** @type {HTMLButtonElement} */ (h("button", { type: "button", onclick: deed }, text));
}
customElements.define("va-call-actions", CallActions);
