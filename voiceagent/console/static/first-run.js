// @ts-check
import { api } from "./api.js";
import { fill, h, setText } from "./dom.js";
import { clearProblems, showProblem } from "./problem.js";
import { brand, secret, secretless } from "./sign-in.js";

/**
 * Whoever comes in by the token of the first run makes themselves an admin; with that the token is over.
 * Fires `signed-in` with the new session, or `later` to go on with the token.
 */
class FirstRun extends HTMLElement {
  connectedCallback() {
    this.name_ = secretless("name", "username");
    this.password = secret("password", "password-help password-problem", "new-password");
    this.go = /** @type {HTMLButtonElement} */ (h("button", { type: "submit", class: "primary" }, "Make the account"));
    const shown = /** @type {HTMLInputElement} */ (h("input", { type: "checkbox" }));
    shown.addEventListener("change", () => this.password && (this.password.type = shown.checked ? "text" : "password"));
    fill(
      this,
      h(
        "main",
        { class: "card" },
        brand(),
        h("h2", null, "Make yourself an account"),
        h("p", { class: "quiet" }, "You came in by the token of the first run. It lets anybody in who has it, and ends with the first admin: you."),
        h(
          "form",
          { class: "stack", onsubmit: (/** @type {Event} */ event) => void this.send(event) },
          h("label", { for: "name" }, "Name"),
          this.name_,
          h("p", { class: "problem", "data-problem": "name" }),
          h("label", { for: "password" }, "Password"),
          this.password,
          h("p", { id: "password-help", class: "quiet" }, "At least 12 characters; a few words do well."),
          h("p", { id: "password-problem", class: "problem", "data-problem": "password" }),
          h("label", { class: "check" }, shown, "Show it"),
          this.go,
          h("p", { class: "problem", role: "alert", "data-problem": "" }),
        ),
        h("button", { type: "button", class: "plain", onclick: () => this.dispatchEvent(new Event("later")) }, "Not now, go on with the token"),
      ),
    );
    this.name_.focus();
  }

  /** @param {Event} event */
  async send(event) {
    event.preventDefault();
    const { name_, password, go } = this;
    if (!name_ || !password || !go) return;
    clearProblems(this);
    const name = name_.value.trim();
    go.disabled = true;
    try {
      if (!this.made) await api.addUser({ name, password: password.value, role: "admin" });
      // From here on the token is over: a sign-in that fails is tried again without making the user twice.
      this.made = true;
      setText(go, "Sign in");
      const session = await api.signInByName(name, password.value);
      password.value = "";
      this.dispatchEvent(new CustomEvent("signed-in", { detail: session }));
    } catch (problem) {
      showProblem(this, /** @type {any} */ (problem), { name: name_, password });
    } finally {
      go.disabled = false;
    }
  }
}
customElements.define("va-first-run", FirstRun);
