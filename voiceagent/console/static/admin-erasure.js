// @ts-check
import { ask } from "./api.js";
import { fill, h, setText } from "./dom.js";
import { field, input, Section } from "./parts.js";
import { clearProblems, showProblem } from "./problem.js";

/**
 * The calls of a report, on whichever node they lie.
 * @param {any} report
 * @returns {Set<string>}
 */
const found = (report) =>
  new Set([
    ...report.calls.map((/** @type {any} */ one) => one.call_id),
    ...report.nodes.flatMap((/** @type {any} */ one) => one.calls),
  ]);

/** Erase all that is kept of somebody's calls: first one sees what would go, then it goes. */
class Erasure extends Section {
  draw() {
    const caller = input({ type: "tel", required: true, maxlength: 128, placeholder: "+44…" });
    const look = /** @type {HTMLButtonElement} */ (h("button", { type: "submit" }, "Look what there is"));
    const go = /** @type {HTMLButtonElement} */ (h("button", { type: "button", class: "danger", hidden: true }, "Erase"));
    const told = h("div", { role: "status" });
    const form = h(
      "form",
      { class: "panel pad stack", "aria-label": "Erasure" },
      field("Number", caller, "caller", "Of the person: who called us, or whom we called. With its country."),
      told,
      h("p", { class: "problem", role: "alert", "data-problem": "" }),
      h("div", { class: "line end" }, look, go),
    );
    /** @param {boolean} dry_run */
    const send = async (dry_run) => {
      clearProblems(form);
      look.disabled = go.disabled = true;
      const asked = caller.value;
      try {
        const report = await ask("POST", "/v1/erasures", { caller: asked, dry_run });
        // What one has looked at is what goes: another number is looked at first.
        const same = caller.value === asked;
        fill(told, this.report(report));
        const count = found(report).size;
        go.hidden = !dry_run || !count || !same;
        setText(go, `Erase ${count} ${count === 1 ? "call" : "calls"}`);
      } catch (error) {
        showProblem(form, this.problem(error), { caller });
      } finally {
        look.disabled = go.disabled = false;
      }
    };
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void send(true);
    });
    go.addEventListener("click", () => void send(false));
    caller.addEventListener("input", () => {
      go.hidden = true;
      fill(told);
    });
    fill(
      this,
      h(
        "div",
        { class: "sheet-head" },
        h("h2", null, "Erasure"),
        h("p", { class: "quiet" }, "Recordings, words and numbers go for good; that there was a call, and the proof, stay."),
      ),
      form,
    );
  }

  show() {}

  /** @param {any} report */
  report(report) {
    const verb = report.dry_run ? "would be erased" : "erased";
    const away = report.nodes.filter((/** @type {any} */ one) => one.result !== "done");
    const left = report.calls.filter((/** @type {any} */ one) => one.failed || one.node);
    const count = found(report).size;
    return [
      h("p", null, count ? `${count} calls of ${report.number} ${verb}.` : `Nothing is kept of ${report.number}.`),
      report.calls.length > 0 &&
        h("ul", null, report.calls.slice(0, 20).map((/** @type {any} */ one) => h("li", null, h("code", null, one.call_id), one.failed && ` not erased: ${one.failed}`, one.node && ` its journal lies on ${one.node}: erase there, too`))),
      report.calls.length > 20 && h("p", { class: "quiet" }, `… and ${report.calls.length - 20} more`),
      report.mentioned_in.length > 0 && h("p", { class: "quiet" }, `The number is named in ${report.mentioned_in.length} calls of others, which are left as they are.`),
      away.length > 0 &&
        h("ul", null, away.map((/** @type {any} */ one) => h("li", null, `Node ${one.node}: ${one.why || one.result}`))),
      !report.dry_run && left.length + away.length > 0 && h("p", { class: "problem" }, "Something is left; send it again when that is mended."),
      report.audit_line && h("p", { class: "quiet" }, `Proof: line ${report.audit_line} of the audit log.`),
    ];
  }
}
customElements.define("va-admin-erasure", Erasure);
