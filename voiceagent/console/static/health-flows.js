// @ts-check
import { ask } from "./api.js";
import { fill, h } from "./dom.js";
import { nothing, Section, trouble, when } from "./parts.js";

/** The flows in force, which calls they answer, and a way to have them read again. */
class HealthFlows extends Section {
  draw() {
    this.again = /** @type {HTMLButtonElement} */ (h("button", { type: "button", class: "small", onclick: () => void this.reload() }, "Reload"));
    this.told = h("div", { role: "status" });
    this.list = h("div", null);
    fill(this, h("section", { class: "panel", "aria-label": "Flows" }, h("h3", { class: "line" }, "Flows", this.may("manage") && this.again), this.told, this.list));
  }

  show() {
    const { list } = this;
    if (list) void this.ask(list, () => ask("GET", "/v1/flows"), (found) => this.lay(found));
  }

  /** @param {any} found */
  lay(found) {
    if (!this.list) return;
    const refused = found.refused;
    fill(
      this.list,
      refused &&
        h("div", { class: "notice inside", "data-tone": "bad" }, h("p", null, "Newer flows were refused ", when(refused.at), " (", refused.by, "); the old ones stay."), h("ul", null, refused.problems.map((/** @type {string} */ one) => h("li", null, one)))),
      found.needs_restart.length > 0 && h("p", { class: "notice inside", "data-tone": "warn" }, "Changed in the settings, and taken over with the next start only: ", found.needs_restart.join(", "), "."),
      h("p", { class: "quiet pad" }, `Version ${found.version}, read `, when(found.loaded_at), ` (${found.loaded_by}).`, found.default_flow && [" Calls that nothing names go to ", h("b", null, found.default_flow), "."]),
      found.flows.length
        ? h(
            "ul",
            { class: "entries" },
            found.flows.map((/** @type {any} */ flow) =>
              h("li", null, h("b", null, h("bdi", null, flow.name)), flow.numbers.length > 0 && h("span", { class: "num" }, flow.numbers.join(", ")), h("span", { class: "quiet under" }, flow.source)),
            ),
          )
        : nothing("There are no flows.", "`voiceagent serve --flow FILE` loads one."),
      found.routes.length > 0 && [
        h("h4", null, "Routes", h("span", { class: "quiet" }, " the first that holds wins")),
        h(
          "ol",
          { class: "routes" },
          found.routes.map((/** @type {any} */ route) => h("li", { value: route.place }, h("b", null, route.flow), h("span", { class: "quiet" }, ` ${conditions(route.when)}`))),
        ),
      ],
    );
  }

  async reload() {
    const { again, told } = this;
    if (!again || !told) return;
    again.disabled = true;
    fill(told, h("p", { class: "quiet pad" }, "Reading…"));
    try {
      const found = await ask("POST", "/v1/flows/reload");
      this.lay(found);
      fill(told, h("p", { class: "notice inside", "data-tone": "good" }, h("b", null, `Version ${found.version} is in force.`), " Calls that run keep the flow they began with."));
    } catch (error) {
      const problem = this.problem(error);
      const list = problem.errors.map((/** @type {any} */ one) => h("li", null, one.detail));
      if (problem.code === "flows_refused") {
        fill(told, h("div", { class: "notice inside", role: "alert", "data-tone": "bad" }, h("p", null, h("b", null, "Not taken; the old flows stay."), ` ${problem.remedy}`), h("ul", null, list)));
      } else fill(told, trouble(problem));
    }
    again.disabled = false;
  }
}

/** What must hold, in words. @param {Record<string, any>} when_ */
function conditions(when_) {
  const all = Object.entries(when_).map(([name, value]) => `${name.replaceAll("_", " ")} ${Array.isArray(value) ? value.join(" or ") : typeof value === "object" ? JSON.stringify(value) : value}`);
  return all.length ? `when ${all.join(", ")}` : "always";
}
customElements.define("va-health-flows", HealthFlows);
