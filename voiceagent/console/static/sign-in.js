// @ts-check
import { api } from "./api.js";
import { fill, h, setText } from "./dom.js";

const REMEMBERED = "voiceagent.sign-in";

/** Exchanges name and password, or a key, for a session. Fires `signed-in`; secrets stay in their fields. */
class SignIn extends HTMLElement {
  connectedCallback() {
    this.by = localStorage.getItem(REMEMBERED) === "key" ? "key" : "name";
    this.draw();
  }

  draw() {
    const byName = this.by === "name";
    this.error = h("p", { id: "sign-in-error", class: "problem", role: "alert" });
    this.go = /** @type {HTMLButtonElement} */ (h("button", { type: "submit", class: "primary" }, "Sign in"));
    this.username = secretless("name", "username");
    this.secret = byName ? secret("password", "sign-in-error") : secret("token", "sign-in-help sign-in-error");
    // Password managers file a secret under a name.
    const filed = h("input", { name: "username", autocomplete: "username", value: "key", hidden: true });
    fill(
      this,
      h(
        "main",
        { class: "card" },
        brand(),
        h(
          "form",
          { class: "stack", onsubmit: (/** @type {Event} */ event) => void this.send(event) },
          byName ? [h("label", { for: "name" }, "Name"), this.username] : filed,
          h("label", { for: this.secret.id }, byName ? "Password" : "Token"),
          this.secret,
          !byName && h("p", { id: "sign-in-help", class: "quiet" }, "A key made by an admin, or the token that the server printed when it started."),
          this.go,
          this.error,
        ),
        h("button", { type: "button", class: "plain", onclick: () => this.turn() }, byName ? "Use a key or token instead" : "Use a name and password instead"),
      ),
    );
    (byName ? this.username : this.secret).focus();
  }

  turn() {
    this.by = this.by === "name" ? "key" : "name";
    localStorage.setItem(REMEMBERED, this.by);
    this.draw();
  }

  /** @param {Event} event */
  async send(event) {
    event.preventDefault();
    const { username, secret: field, go, error } = this;
    if (!username || !field || !go || !error) return;
    setText(error, "");
    go.disabled = true;
    try {
      const session = await (this.by === "name" ? api.signInByName(username.value.trim(), field.value) : api.signIn(field.value.trim()));
      field.value = "";
      this.dispatchEvent(new CustomEvent("signed-in", { detail: session }));
    } catch (problem) {
      const { message, status, remedy } = /** @type {any} */ (problem);
      const wrong = this.by === "name" ? "That is not the name and password of a user here." : "That is not the token of this console.";
      setText(error, status === 401 ? wrong : [message, remedy].filter(Boolean).join(" "));
      field.select();
    } finally {
      go.disabled = false;
    }
  }
}

/** Name and sign of the program, as a heading. */
export function brand() {
  return h("h1", { class: "brand" }, h("img", { src: "/static/icon.svg", alt: "", width: 28, height: 28 }), "voiceagent");
}

/** @param {string} name @param {string} autocomplete */
export function secretless(name, autocomplete) {
  return /** @type {HTMLInputElement} */ (
    h("input", { id: name, name, autocomplete, required: true, spellcheck: "false", autocapitalize: "none", maxlength: 64 })
  );
}

/** @param {string} name @param {string} described @param {string} [autocomplete] */
export function secret(name, described, autocomplete = "current-password") {
  return /** @type {HTMLInputElement} */ (
    h("input", { id: name, name, type: "password", autocomplete, required: true, spellcheck: "false", "aria-describedby": described })
  );
}
customElements.define("va-sign-in", SignIn);
