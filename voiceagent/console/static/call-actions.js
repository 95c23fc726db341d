// @ts-check
import { api } from "./api.js";
import { deedDialog } from "./deed-dialog.js";
import { fill, h, setText } from "./dom.js";

const KEYS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "0", "#"];

/** What an operator can do to a call beside making it speak: hold, hand over, press keys, note, stop the recording. */
class CallActions extends HTMLElement {
  connectedCallback() {
    if (this.holdButton) return;
    this.holdButton = button("Hold", () => void this.turn(this.holdButton, () => (this.heldByUs() ? api.resume(this.id_()) : api.hold(this.id_()))));
    this.recordingButton = button("Pause recording", () =>
      void this.turn(this.recordingButton, () => (this.recordingRuns() ? api.pauseRecording(this.id_()) : api.resumeRecording(this.id_()))),
    );
    this.transferButton = button("Transfer", () => this.open(this.transferDialog));
    this.keysButton = button("Keys", () => this.open(this.keysDialog));
    this.noteButton = button("Note", () => this.open(this.noteDialog));
    this.problem = h("p", { class: "problem", role: "alert" });
    this.makeTransfer();
    this.makeKeys();
    const text = /** @type {HTMLTextAreaElement} */ (h("textarea", { id: "note", rows: 3, required: true, maxlength: 16384 }));
    this.noteDialog = deedDialog(
      "Tell the agent",
      "Note",
      [h("label", { for: "note" }, "What it should know; it says nothing now"), text, h("p", { class: "problem", "data-problem": "text" })],
      { text },
      () => api.note(this.id_(), text.value.trim()),
    );
    this.noteDialog.addEventListener("close", () => (text.value = ""));
    fill(
      this,
      this.problem,
      this.noteButton,
      this.keysButton,
      this.recordingButton,
      this.holdButton,
      this.transferButton,
      this.transferDialog,
      this.keysDialog,
      this.noteDialog,
    );
  }

  makeTransfer() {
    const target = /** @type {HTMLInputElement} */ (
      h("input", { id: "target", autocomplete: "off", spellcheck: "false", placeholder: "sip:desk@pbx.example.com" })
    );
    const attended = /** @type {HTMLInputElement} */ (h("input", { type: "checkbox", id: "attended" }));
    this.consult = h("label", { class: "check" }, attended, "Call them first, with music for the caller");
    this.transferDialog = deedDialog(
      "Hand the caller to",
      "Transfer",
      [
        h("label", { for: "target" }, "Number or SIP address"),
        target,
        h("p", { class: "problem", "data-problem": "target" }),
        this.consult,
        h("p", { class: "problem", "data-problem": "attended" }),
      ],
      { target },
      (key) => api.transfer(this.id_(), { target: target.value.trim(), attended: attended.checked }, key),
    );
  }

  makeKeys() {
    const digits = /** @type {HTMLInputElement} */ (h("input", { id: "digits", autocomplete: "off", inputmode: "tel" }));
    const press = (/** @type {string} */ key) => (digits.value += key);
    this.keysDialog = deedDialog(
      "Press keys in this call",
      "Send",
      [
        h("label", { for: "digits" }, "Keys"),
        digits,
        h("p", { class: "problem", "data-problem": "digits" }),
        h("div", { class: "keypad" }, KEYS.map((key) => h("button", { type: "button", onclick: () => press(key) }, key))),
      ],
      { digits },
      (key) => api.sendDigits(this.id_(), { digits: digits.value.trim() }, key),
    );
  }

  /** @param {HTMLDialogElement | undefined} dialog */
  open(dialog) {
    dialog?.showModal();
  }

  /** A deed without a dialog. @param {HTMLButtonElement | undefined} at @param {() => Promise<any>} deed */
  async turn(at, deed) {
    if (!this.call || !this.problem || !at) return;
    setText(this.problem, "");
    at.disabled = true;
    try {
      await deed();
    } catch (problem) {
      setText(this.problem, /** @type {Error} */ (problem).message);
    } finally {
      at.disabled = false;
    }
  }

  /** A key of the keyboard that stands for a deed. @param {string} key */
  key(key) {
    const found = { h: this.holdButton, t: this.transferButton, d: this.keysButton, n: this.noteButton }[key];
    if (!found || found.hidden || found.disabled) return false;
    found.click();
    return true;
  }

  /** @param {any} call @param {boolean} mayAct */
  update(call, mayAct) {
    const talking = mayAct && call.state === "talking";
    const can = new Set(talking ? call.abilities : []);
    const dialogs = [this.transferDialog, this.keysDialog, this.noteDialog];
    if (this.call?.id !== call.id) {
      if (this.problem) setText(this.problem, "");
      for (const dialog of dialogs) dialog?.close();
    }
    this.call = call;
    if (!this.holdButton || !this.transferButton || !this.keysButton || !this.noteButton || !this.recordingButton || !this.consult) return;
    this.holdButton.hidden = !can.has("hold");
    setText(this.holdButton, this.heldByUs() ? "Resume" : "Hold");
    this.transferButton.hidden = !can.has("transfer");
    this.keysButton.hidden = !can.has("send_digits");
    this.consult.hidden = !can.has("consult");
    this.noteButton.hidden = !talking;
    this.recordingButton.hidden = !talking || !call.recording?.state;
    setText(this.recordingButton, this.recordingRuns() ? "Pause recording" : "Resume recording");
    if (!talking) for (const dialog of dialogs) dialog?.close();
  }

  id_() {
    return this.call?.id ?? "";
  }

  heldByUs() {
    return Boolean(this.call?.held_by?.includes("us"));
  }

  recordingRuns() {
    return this.call?.recording?.state === "running";
  }
}

/** @param {string} text @param {() => void} deed */
function button(text, deed) {
  return /** @type {HTMLButtonElement} */ (h("button", { type: "button", onclick: deed }, text));
}
customElements.define("va-call-actions", CallActions);
