// @ts-check
import { api } from "./api.js";
import { fill, h, setText } from "./dom.js";

/** Takes the token once and exchanges it for a session. Fires `signed-in`. */
class SignIn extends HTMLElement {
  connectedCallback() {
    const input = /** @type {HTMLInputElement} */ (
      h("input", {
        id: "token",
        type: "password",
        name: "token",
        autocomplete: "current-password",
        required: true,
        spellcheck: "false",
        "aria-describedby": "sign-in-help sign-in-error",
      })
    );
    const error = h("p", { id: "sign-in-error", class: "problem", role: "alert" });
    const submit = async (/** @type {Event} */ event) => {
      event.preventDefault();
      setText(error, "");
      try {
        const session = await api.signIn(input.value.trim());
        input.value = "";
        this.dispatchEvent(new CustomEvent("signed-in", { detail: session }));
      } catch (problem) {
        const { message, status } = /** @type {any} */ (problem);
        setText(error, status === 401 ? "That is not the token of this console." : message);
        input.select();
      }
    };
    fill(
      this,
      h(
        "form",
        { class: "sign-in", onsubmit: submit },
        h("h1", { class: "brand" }, h("img", { src: "/static/icon.svg", alt: "", width: 28, height: 28 }), "voiceagent"),
        // Password managers file a secret under a name.
        h("input", { name: "username", autocomplete: "username", value: "operator", hidden: true }),
        h("label", { for: "token" }, "Token"),
        input,
        h("button", { type: "submit", class: "primary" }, "Sign in"),
        error,
        h("p", { id: "sign-in-help", class: "quiet" }, "It was printed when the server started."),
      ),
    );
    input.focus();
  }
}
customElements.define("va-sign-in", SignIn);
