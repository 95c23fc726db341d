// @ts-check
import { ask } from "./api.js";
import { fill, h, setText } from "./dom.js";
import { words } from "./format.js";
import { copyButton, field, input, nothing, Section, select, settled, trouble, when } from "./parts.js";

const PAGE = 100;
const PAUSE_MS = 300;
/** @type {[string, string][]} */
const ACTIONS = [
  ["", "everything"],
  ["call.", "calls"],
  ["session.", "sign-ins and passwords"],
  ["user.", "users"],
  ["key.", "keys"],
  ["flows.", "flows"],
  ["preset.", "presets"],
  ["history.", "history"],
  ["delivery.", "deliveries"],
  ["audit.", "the audit log"],
  ["erasure", "erasures"],
  ["retention.", "what was kept long enough"],
];

/** Who did what, when and from where; and whether the log is as it was written. */
class Audit extends Section {
  draw() {
    this.action = select(ACTIONS);
    this.actor = input({ type: "search", maxlength: 64, placeholder: "a name" });
    this.target = input({ type: "search", maxlength: 128, placeholder: "an id" });
    const soon = settled(PAUSE_MS, () => this.changed());
    for (const one of [this.actor, this.target]) one.addEventListener("input", soon);
    this.action.addEventListener("change", () => this.changed());
    this.verdict = h("div", { role: "status", class: "verdict" });
    this.count = h("p", { class: "quiet count", role: "status" });
    this.list = h("div", null);
    this.tools = this.may("manage") && [
      h("button", { type: "button", onclick: () => void this.verify() }, "Verify"),
      h("a", { class: "button", href: "/v1/audit/export", download: "audit.ndjson" }, "Export"),
    ];
    fill(
      this,
      h(
        "div",
        { class: "sheet-head" },
        h("h2", null, "Audit log"),
        h("p", { class: "quiet" }, "Every act, and every listening. Lines can be added only."),
        h("span", { class: "grow" }),
        this.tools,
      ),
      this.verdict,
      h(
        "form",
        { class: "filters", role: "search", onsubmit: (/** @type {Event} */ event) => event.preventDefault() },
        field("What", this.action, "action"),
        field("Who", this.actor, "actor"),
        field("To what", this.target, "target"),
      ),
      this.count,
      this.list,
    );
  }

  /** @param {import("./router.js").Route} route */
  show(route) {
    const { action, actor, target } = this;
    if (!action || !actor || !target) return;
    const wanted = route.query.get("action") ?? "";
    if (![...action.options].some((option) => option.value === wanted)) action.append(h("option", { value: wanted }, wanted));
    action.value = wanted;
    actor.value = route.query.get("actor") ?? "";
    target.value = route.query.get("target") ?? "";
    this.read();
  }

  filters() {
    const chosen = new URLSearchParams();
    const given = { action: this.action?.value, actor: this.actor?.value.trim(), target: this.target?.value.trim() };
    for (const [name, value] of Object.entries(given)) if (value) chosen.set(name, value);
    return chosen;
  }

  changed() {
    const query = String(this.filters());
    history.replaceState(null, "", `#/admin/audit${query ? `?${query}` : ""}`);
    this.read();
  }

  read() {
    const { list } = this;
    if (!list) return;
    const filters = this.filters();
    const query = (/** @type {any} */ more) => `/v1/audit?${new URLSearchParams([...filters, ["limit", PAGE], ...more])}`;
    void this.ask(list, () => ask("GET", query([])), ({ lines, waiting }) => {
      if (this.count) {
        const late = waiting ? ` ${waiting} newer ${waiting === 1 ? "line waits" : "lines wait"} for the database.` : "";
        setText(this.count, lines.length ? `The newest first.${late}` : late);
      }
      if (!lines.length) {
        const filtered = String(filters) !== "";
        fill(list, nothing(filtered ? "No line fits." : "Nothing has been done yet."));
        return;
      }
      const body = h("tbody", null, lines.map((/** @type {any} */ line) => this.row(line)));
      const more = h("button", { type: "button", class: "show-more" }, "Older lines");
      const place = h("div", null);
      let last = lines;
      more.hidden = lines.length < PAGE;
      more.addEventListener("click", async () => {
        more.setAttribute("disabled", "");
        try {
          ({ lines: last } = await ask("GET", query([["before", last[last.length - 1].n]])));
          body.append(...last.map((/** @type {any} */ line) => this.row(line)));
          more.hidden = last.length < PAGE;
          fill(place);
        } catch (error) {
          fill(place, trouble(this.problem(error)));
        }
        more.removeAttribute("disabled");
      });
      const heads = ["No.", "When", "Who", "Did", "To", "Result"];
      fill(
        list,
        h("div", { class: "panel" }, h("table", { class: "grid audit" }, h("thead", null, h("tr", null, heads.map((head) => h("th", null, head)))), body)),
        place,
        more,
      );
    });
  }

  /** @param {any} line */
  row(line) {
    const done = line.result === "done";
    const from = [line.role, line.via, line.peer && `from ${line.peer}`].filter(Boolean).join(", ");
    const pairs = Object.entries(line.detail ?? {});
    return h(
      "tr",
      { "data-done": done },
      h("td", { "data-label": "No.", class: "num quiet n", title: `Hash ${line.hash}` }, line.n),
      h("td", { "data-label": "When" }, when(line.at)),
      h("td", { "data-label": "Who" }, h("b", null, h("bdi", null, line.actor)), h("span", { class: "quiet under" }, from)),
      h(
        "td",
        { "data-label": "Did" },
        h("span", null, line.action),
        pairs.length > 0 && h("span", { class: "quiet under" }, pairs.map(([key, value]) => `${key} ${plain(value)}`).join(" · ")),
      ),
      h("td", { "data-label": "To", class: "target" }, line.action.startsWith("call.") && line.target ? h("a", { href: `#/history/${encodeURIComponent(line.target)}` }, line.target) : line.target || "–"),
      h("td", { "data-label": "Result", class: "result" }, h("span", { class: "mark", "data-mark": done ? "on" : "bad" }, words(line.result))),
    );
  }

  async verify() {
    const { verdict } = this;
    if (!verdict) return;
    fill(verdict, h("p", { class: "quiet" }, "Reading every line…"));
    try {
      const { whole, lines, problem, last_hash } = await ask("GET", "/v1/audit/verify");
      const hash = input({ readonly: true, class: "secret num", "aria-label": "Hash of the last line" });
      hash.value = last_hash;
      fill(
        verdict,
        h(
          "div",
          { class: "notice", "data-tone": whole ? "good" : "bad" },
          h("p", null, h("b", null, whole ? "The log is whole." : "The log is not whole."), whole ? ` ${told(lines)} as written.` : ` The first fault: ${problem}.`),
          whole
            ? lines > 0 && h("p", { class: "quiet" }, "Keep the hash of the last line elsewhere: with it you can show later that nothing was cut off the end.")
            : h("p", null, "Somebody or something changed the database beside this service. Keep a copy of it as it is, and compare it with your last export."),
          last_hash && h("div", { class: "line secret-line" }, hash, copyButton(hash, "Copy")),
        ),
      );
    } catch (error) {
      fill(verdict, trouble(this.problem(error), () => void this.verify()));
    }
  }
}

/** @param {number} lines */
function told(lines) {
  if (lines === 0) return "It has no lines yet, so nothing is other than";
  return lines === 1 ? "Its one line is" : `All ${lines.toLocaleString()} lines are`;
}

/** @param {unknown} value */
function plain(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}
customElements.define("va-admin-audit", Audit);
