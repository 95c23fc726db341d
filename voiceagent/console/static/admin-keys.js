// @ts-check
import { ask } from "./api.js";
import { roleChoice } from "./admin-roles.js";
import { fill, h } from "./dom.js";
import { copyButton, field, input, nothing, openDialog, Section, select, when } from "./parts.js";
import { clearProblems, showProblem } from "./problem.js";

const DAY_S = 86_400;
/** @type {[string, string][]} */
const LIVES = [["30", "in 30 days"], ["90", "in 90 days"], ["365", "in a year"], ["", "never"]];

/** Keys of programs. A key itself is shown once, when it is made, and kept nowhere. */
class Keys extends Section {
  draw() {
    this.list = h("div", null);
    fill(
      this,
      h(
        "div",
        { class: "sheet-head" },
        h("h2", null, "Keys"),
        h("p", { class: "quiet" }, "For programs, which send Authorization: Bearer KEY."),
        h("span", { class: "grow" }),
        this.may("admin") && h("button", { type: "button", class: "primary", onclick: () => this.add() }, "New key"),
      ),
      this.list,
    );
  }

  show() {
    const { list } = this;
    const empty = () => nothing("There are no keys yet.", "A program needs one to use the API. Make one for each program, so that each can be revoked alone.");
    if (list) void this.ask(list, () => ask("GET", "/v1/keys"), ({ keys }) => fill(list, keys.length ? this.table(keys) : empty()));
  }

  /** @param {any[]} keys */
  table(keys) {
    const heads = ["Name", "Role", "State", "Last used", "Expires", "Made"];
    return h(
      "div",
      { class: "panel" },
      h(
        "table",
        { class: "grid" },
        h("thead", null, h("tr", null, heads.map((head) => h("th", null, head)), h("th", null, h("span", { class: "visually-hidden" }, "Revoke")))),
        h("tbody", null, keys.map((key) => this.row(key))),
      ),
    );
  }

  /** @param {any} key */
  row(key) {
    const state = key.revoked_at !== null ? "revoked" : key.expires_at !== null && key.expires_at * 1000 <= Date.now() ? "expired" : "good";
    return h(
      "tr",
      { class: state === "good" ? null : "over" },
      h("th", { scope: "row" }, h("bdi", null, key.name)),
      h("td", { "data-label": "Role" }, key.role),
      h("td", { "data-label": "State" }, h("span", { class: "mark", "data-mark": state === "good" ? "on" : "off" }, state)),
      h("td", { "data-label": "Last used" }, when(key.used_at)),
      h("td", { "data-label": "Expires" }, when(key.expires_at)),
      h("td", { "data-label": "Made" }, h("span", null, when(key.created_at), key.created_by && h("span", { class: "quiet" }, " by ", h("bdi", null, key.created_by)))),
      h("td", { class: "acts" }, state === "good" && h("button", { type: "button", class: "small danger", "aria-label": `Revoke ${key.name}`, onclick: () => this.revoke(key) }, "Revoke")),
    );
  }

  add() {
    const name = input({ required: true, maxlength: 64, placeholder: "what the program is called", autocapitalize: "none" });
    const role = roleChoice("viewer");
    const life = select(LIVES);
    life.value = "90";
    const form = h(
      "form",
      { class: "stack" },
      field("Name", name, "name"),
      role.element,
      field("Expires", life, "expires_at"),
      h("p", { class: "problem", role: "alert", "data-problem": "" }),
      h("div", { class: "line end" }, closer("Cancel"), h("button", { type: "submit", class: "primary" }, "Make the key")),
    );
    const dialog = openDialog(this, "New key", form);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      clearProblems(form);
      const go = /** @type {HTMLButtonElement} */ (form.querySelector("[type=submit]"));
      go.disabled = true;
      const expires_at = life.value ? Date.now() / 1000 + Number(life.value) * DAY_S : null;
      try {
        const made = await ask("POST", "/v1/keys", { name: name.value.trim(), role: role.value(), expires_at });
        dialog.close();
        this.hand(made);
        this.show();
      } catch (error) {
        showProblem(form, this.problem(error), { name, expires_at: life });
      } finally {
        go.disabled = false;
      }
    });
    name.focus();
  }

  /** Show the key this once. @param {any} made */
  hand(made) {
    const shown = input({ readonly: true, class: "secret num", "aria-label": "The key" });
    shown.value = made.key;
    const dialog = openDialog(
      this,
      `The key of ${made.name}`,
      h("p", null, "It is shown this once, and only its hash is kept. Copy it to where the program reads it."),
      h("div", { class: "line secret-line" }, shown, copyButton(shown, "Copy")),
      h("div", { class: "line end" }, closer("Done")),
    );
    dialog.addEventListener("close", () => (shown.value = ""));
    shown.select();
  }

  /** @param {any} key */
  revoke(key) {
    const problem = h("p", { class: "problem", role: "alert", "data-problem": "" });
    const go = h("button", { type: "button", class: "danger" }, "Revoke");
    const content = h(
      "div",
      { class: "stack" },
      h("p", null, "A program that uses it is turned away from now on. A revoked key stays revoked."),
      problem,
      h("div", { class: "line end" }, closer("Keep it"), go),
    );
    const dialog = openDialog(this, `Revoke ${key.name}?`, content);
    go.addEventListener("click", async () => {
      try {
        await ask("DELETE", `/v1/keys/${encodeURIComponent(key.id)}`);
        dialog.close();
        this.show();
      } catch (error) {
        showProblem(content, this.problem(error), {});
      }
    });
  }
}

/** @param {string} label */
function closer(label) {
  return h("button", { type: "button", onclick: (/** @type {any} */ event) => event.target.closest("dialog").close() }, label);
}
customElements.define("va-admin-keys", Keys);
