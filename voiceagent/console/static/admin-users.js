// @ts-check
import { ask } from "./api.js";
import { ROLES, roleChoice } from "./admin-roles.js";
import { fill, h } from "./dom.js";
import { field, input, nothing, openDialog, Section, when } from "./parts.js";
import { clearProblems, showProblem } from "./problem.js";

const LENGTH = "At least 12 characters; a few words do well.";

/** @param {any} user */
const address = (user) => `/v1/users/${encodeURIComponent(user.id)}`;

/** Everybody who may sign in: made, changed, shut out, removed. */
class Users extends Section {
  draw() {
    this.list = h("div", null);
    fill(
      this,
      h(
        "div",
        { class: "sheet-head" },
        h("h2", null, "Users"),
        h("p", { class: "quiet" }, "People, who sign in by name and password."),
        h("span", { class: "grow" }),
        this.may("admin") && h("button", { type: "button", class: "primary", onclick: () => this.add() }, "New user"),
      ),
      this.list,
    );
  }

  show() {
    const { list } = this;
    if (list) void this.ask(list, () => ask("GET", "/v1/users"), ({ users }) => fill(list, users.length ? this.table(users) : this.empty()));
  }

  empty() {
    return nothing("There are no users yet.", "Whoever has the token comes in. Make an admin: with the first, the token of the first run ends.");
  }

  /** @param {any[]} users */
  table(users) {
    return h(
      "div",
      { class: "panel" },
      h(
        "table",
        { class: "grid" },
        h("thead", null, h("tr", null, h("th", null, "Name"), h("th", null, "Role"), h("th", null, "State"), h("th", null, "Made"), h("th", null, h("span", { class: "visually-hidden" }, "Change")))),
        h("tbody", null, users.map((user) => this.row(user))),
      ),
    );
  }

  /** @param {any} user */
  row(user) {
    const me = this.session?.kind === "user" && user.name === this.session.name;
    const may = ROLES.find(([role]) => role === user.role)?.[1] ?? "";
    return h(
      "tr",
      null,
      h("th", { scope: "row" }, h("bdi", null, user.name), me && h("span", { class: "quiet" }, " you")),
      h("td", { "data-label": "Role", title: may }, user.role),
      h("td", { "data-label": "State" }, h("span", { class: "mark", "data-mark": user.disabled ? "off" : "on" }, user.disabled ? "shut out" : "may sign in")),
      h("td", { "data-label": "Made" }, when(user.created_at)),
      h(
        "td",
        { class: "acts" },
        me
          ? h("a", { href: "#/admin/me", class: "button small" }, "Your password")
          : h("button", { type: "button", class: "small", "aria-label": `Change ${user.name}`, onclick: () => this.change(user) }, "Change"),
      ),
    );
  }

  add() {
    const name = input({ required: true, maxlength: 64, autocapitalize: "none" });
    const password = input({ type: "password", required: true, autocomplete: "new-password" });
    const role = roleChoice("operator");
    const form = this.form("Make the user", [field("Name", name, "name"), role.element, field("Password", password, "password", LENGTH)]);
    const dialog = openDialog(this, "New user", form);
    this.onSend(dialog, form, { name, password }, () => ask("POST", "/v1/users", { name: name.value.trim(), role: role.value(), password: password.value }));
    name.focus();
  }

  /** @param {any} user */
  change(user) {
    const role = roleChoice(user.role);
    const password = input({ type: "password", autocomplete: "new-password" });
    const out = /** @type {HTMLInputElement} */ (h("input", { type: "checkbox", checked: user.disabled }));
    const remove = h("button", { type: "button", class: "danger" }, "Remove…");
    const form = this.form(
      "Save",
      [
        role.element,
        field("New password", password, "password", `Leave it empty to keep the old one. ${LENGTH}`),
        h("label", { class: "check" }, out, "Shut out: may not sign in any more"),
        h("p", { class: "quiet hint" }, "A change signs the user out everywhere."),
      ],
      remove,
    );
    const dialog = openDialog(this, `Change ${user.name}`, form);
    remove.addEventListener("click", () => {
      dialog.close();
      this.remove_(user);
    });
    this.onSend(dialog, form, { password }, () => {
      /** @type {Record<string, any>} */
      const wish = {};
      if (role.value() !== user.role) wish.role = role.value();
      if (out.checked !== user.disabled) wish.disabled = out.checked;
      if (password.value) wish.password = password.value;
      return Object.keys(wish).length ? ask("PATCH", address(user), wish) : Promise.resolve();
    });
  }

  /** @param {any} user */
  remove_(user) {
    const form = this.form("Remove", [h("p", null, h("bdi", null, user.name), " cannot sign in any more, and is signed out at once. What they did stays in the audit log.")]);
    form.querySelector(".primary")?.classList.replace("primary", "danger");
    const dialog = openDialog(this, `Remove ${user.name}?`, form);
    this.onSend(dialog, form, {}, () => ask("DELETE", address(user)));
  }

  /** @param {string} label @param {any[]} content @param {HTMLElement} [first] */
  form(label, content, first) {
    return /** @type {HTMLFormElement} */ (
      h(
        "form",
        { class: "stack" },
        content,
        h("p", { class: "problem", role: "alert", "data-problem": "" }),
        h(
          "div",
          { class: "line end" },
          first,
          first && h("span", { class: "grow" }),
          h("button", { type: "button", onclick: (/** @type {any} */ event) => event.target.closest("dialog").close() }, "Cancel"),
          h("button", { type: "submit", class: "primary" }, label),
        ),
      )
    );
  }

  /**
   * @param {HTMLDialogElement} dialog @param {HTMLFormElement} form
   * @param {Record<string, HTMLElement>} fields @param {() => Promise<any>} send
   */
  onSend(dialog, form, fields, send) {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      clearProblems(form);
      const go = /** @type {HTMLButtonElement} */ (form.querySelector("[type=submit]"));
      go.disabled = true;
      try {
        await send();
        dialog.close();
        this.show();
      } catch (error) {
        showProblem(form, this.problem(error), fields);
      } finally {
        go.disabled = false;
      }
    });
  }
}
customElements.define("va-admin-users", Users);
