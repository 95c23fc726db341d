// @ts-check
// Refusals beside the field that caused them: a place is any element with `data-problem="<field>"`.
import { setText } from "./dom.js";

/** @param {Element} root */
export function clearProblems(root) {
  for (const place of root.querySelectorAll("[data-problem]")) setText(place, "");
  for (const field of root.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
}

/**
 * Show a refusal in the place of its field, or in the place without a name, and go to the field.
 * @param {Element} root
 * @param {import("./api.js").Problem} problem
 * @param {Record<string, HTMLElement | undefined>} fields inputs by the name of their field
 */
export function showProblem(root, problem, fields) {
  const name = String(problem.field).split(".")[0];
  const places = [...root.querySelectorAll("[data-problem]")];
  const place = name ? places.find((one) => one.getAttribute("data-problem") === name) : undefined;
  const text = place ? problem.message : [problem.message, problem.remedy].filter(Boolean).join(" ");
  const rest = places.find((one) => one.getAttribute("data-problem") === "");
  setText(/** @type {Element} */ (place ?? rest), text);
  const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
  field?.setAttribute("aria-invalid", "true");
  field?.focus();
}
