// @ts-check
import { fill, h } from "./dom.js";

const OFF = "voiceagent.keys-off";

/** @type {[string, [string, string][]][]} */
const SHEET = [
  ["Everywhere", [["?", "this sheet"], ["1 … 5", "go to a page"]]],
  ["Floor", [["/", "filter the calls"], ["↑ ↓", "walk the list"], ["j k", "open the next, the previous call"]]],
  ["History", [["↑ ↓", "walk the list"], ["Space", "play, or pause"], ["← →", "five seconds back, or on"]]],
  [
    "Open call",
    [
      ["s", "make the agent speak: write what"],
      ["Ctrl Enter", "send it"],
      ["n", "note something to the agent"],
      ["l", "listen, or stop listening"],
      ["o", "while listening: take over, or hand back"],
      ["m", "while you speak: mute, or unmute"],
      ["h", "hold, or resume"],
      ["t", "transfer"],
      ["d", "press keys"],
      ["x", "hang up (asks first)"],
      ["Esc", "back to all calls"],
    ],
  ],
  ["Phone, in a call", [["0 … 9 * #", "press the key"], ["m", "mute, or speak again"]]],
];

/** Whether single keys do anything; whoever dictates or uses a switch can turn them off (WCAG 2.1.4). */
export function keysAreOn() {
  return localStorage.getItem(OFF) !== "1";
}

/** The sheet of shortcuts. */
class Help extends HTMLElement {
  connectedCallback() {
    if (this.dialog) return;
    const on = /** @type {HTMLInputElement} */ (h("input", { type: "checkbox" }));
    on.addEventListener("change", () => localStorage.setItem(OFF, on.checked ? "0" : "1"));
    const part = (/** @type {[string, [string, string][]]} */ [title, keys]) => [
      h("h4", null, title),
      h("dl", { class: "keys" }, keys.map(([key, does]) => h("div", null, h("dt", null, key.split(" ").map((one) => (one === "…" ? "…" : h("kbd", null, one)))), h("dd", null, does)))),
    ];
    this.dialog = /** @type {HTMLDialogElement} */ (
      h(
        "dialog",
        { class: "help", "aria-labelledby": "help-title" },
        h("h3", { id: "help-title" }, "Keyboard"),
        SHEET.map(part),
        h("label", { class: "check" }, on, "Single keys do this"),
        h("form", { method: "dialog", class: "line end" }, h("button", null, "Close")),
      )
    );
    this.on = on;
    fill(this, this.dialog);
  }

  open() {
    if (this.on) this.on.checked = keysAreOn();
    this.dialog?.showModal();
  }
}
customElements.define("va-help", Help);
