// @ts-check
import { ask } from "./api.js";
import { ROLES } from "./admin-roles.js";
import { fill, h, setText } from "./dom.js";
import { field, input, nothing, Section } from "./parts.js";
import { clearProblems, showProblem } from "./problem.js";

/** Who one is, and one's own password. */
class Me extends Section {
  draw() {
    const { session } = this;
    if (!session) return;
    const upTo = ROLES.findIndex(([role]) => role === session.role) + 1;
    fill(
      this,
      h("div", { class: "sheet-head" }, h("h2", null, "Your account")),
      h(
        "div",
        { class: "two" },
        h(
          "section",
          { class: "panel pad" },
          h("h3", null, h("bdi", null, session.name), h("span", { class: "quiet" }, ` ${session.role}`)),
          h("ul", { class: "may" }, ROLES.slice(0, upTo).map(([, may]) => h("li", null, may.replace(/^and /, "")))),
        ),
        session.kind === "user" ? this.form() : h("section", { class: "panel" }, nothing("You came in by a key, which has no password.", "Sign in with your name to change yours.")),
      ),
    );
  }

  show() {}

  form() {
    const current = input({ type: "password", required: true, autocomplete: "current-password" });
    const fresh = input({ type: "password", required: true, autocomplete: "new-password" });
    const done = h("p", { class: "good", role: "status" });
    const go = /** @type {HTMLButtonElement} */ (h("button", { type: "submit", class: "primary" }, "Change the password"));
    const form = h(
      "form",
      { class: "panel pad stack", "aria-label": "Password" },
      h("h3", null, "Password"),
      field("Current password", current, "current"),
      field("New password", fresh, "new", "At least 12 characters; a few words do well."),
      h("p", { class: "problem", role: "alert", "data-problem": "" }),
      h("div", { class: "line end" }, done, h("span", { class: "grow" }), go),
    );
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      clearProblems(form);
      setText(done, "");
      go.disabled = true;
      try {
        await ask("PUT", "/v1/session/password", { current: current.value, new: fresh.value });
        current.value = fresh.value = "";
        setText(done, "Changed. Your other sessions have ended.");
      } catch (error) {
        showProblem(form, this.problem(error), { current, new: fresh });
      } finally {
        go.disabled = false;
      }
    });
    return form;
  }
}
customElements.define("va-admin-me", Me);
