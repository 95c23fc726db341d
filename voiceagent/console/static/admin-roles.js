// @ts-check
import { h } from "./dom.js";

/** @type {[string, string][]} Each may do all that those before it may. */
export const ROLES = [
  ["viewer", "sees calls, their words and the history"],
  ["operator", "and makes the agent speak, holds, transfers, takes over, hangs up"],
  ["supervisor", "and listens, live and to recordings; reloads flows, exports, reads the audit log"],
  ["admin", "and makes users and keys"],
];

let groups = 0;

/** Radio buttons that say what each role is good for. @param {string} chosen */
export function roleChoice(chosen) {
  const name = `role-${++groups}`;
  const radios = ROLES.map(([role]) => /** @type {HTMLInputElement} */ (h("input", { type: "radio", name, value: role, checked: role === chosen })));
  const element = h(
    "fieldset",
    { class: "roles" },
    h("legend", null, "Role"),
    ROLES.map(([role, may], at) => h("label", { class: "role" }, radios[at], h("span", null, h("b", null, role), " ", h("span", { class: "quiet" }, may)))),
    h("p", { class: "problem", "data-problem": "role" }),
  );
  return { element, value: () => radios.find((radio) => radio.checked)?.value ?? chosen };
}
