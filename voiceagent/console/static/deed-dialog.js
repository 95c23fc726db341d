// @ts-check
import { newKey } from "./api.js";
import { h } from "./dom.js";
import { clearProblems, showProblem } from "./problem.js";

/**
 * A dialog with one deed. It stays open with the refusal, and closes when the deed is taken.
 * @param {string} title
 * @param {string} deed the word on its button
 * @param {Array<any>} parts
 * @param {Record<string, HTMLElement>} fields inputs by the name of their field
 * @param {(key: string) => Promise<any>} act is given the key that makes a repeated try the same
 * @returns {HTMLDialogElement}
 */
export function deedDialog(title, deed, parts, fields, act) {
  const go = /** @type {HTMLButtonElement} */ (h("button", { type: "submit", class: "primary" }, deed));
  let key = "";
  const send = async (/** @type {Event} */ event) => {
    event.preventDefault();
    clearProblems(dialog);
    key ||= newKey();
    go.disabled = true;
    try {
      await act(key);
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
        h("div", { class: "line end" }, h("button", { type: "button", onclick: () => dialog.close() }, "Close"), go),
      ),
    )
  );
  dialog.addEventListener("close", () => clearProblems(dialog));
  return dialog;
}
