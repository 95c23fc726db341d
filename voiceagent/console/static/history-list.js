// @ts-check
import { ask } from "./api.js";
import { fill, h, setText } from "./dom.js";
import { party, showWay } from "./floor-row.js";
import { clock, words } from "./format.js";
import { Filters } from "./history-filters.js";
import { nothing, Section, settled, trouble, when } from "./parts.js";
import { clearProblems, showProblem } from "./problem.js";

const PAGE = 50;
const PAUSE_MS = 250;
/** What to colour an ending by. @type {Record<string, string>} */
const TONES = { success: "on", caller: "warn", ours: "bad", provider: "bad" };

/** @param {string} outcome */
export function toneOf(outcome) {
  return TONES[outcome] ?? "off";
}

/** The ended calls that fit, page after page. */
class HistoryList extends Section {
  draw() {
    this.filters = new Filters(settled(PAUSE_MS, () => this.changed()), () => this.changed());
    this.count = h("p", { class: "quiet count", role: "status" });
    this.list = h("div", { class: "results" });
    this.exports = this.may("manage")
      ? ["csv", "json"].map((format) => h("a", { class: "button", "data-format": format, download: `calls.${format}` }, format.toUpperCase()))
      : [h("span", { class: "quiet hint" }, "Exporting needs the right “manage”, which supervisors and admins have.")];
    fill(
      this,
      h("div", { class: "sheet-head" }, h("h2", null, "History"), h("p", { class: "quiet" }, "Calls that have ended."), h("span", { class: "grow" }), this.may("manage") && h("span", { class: "quiet" }, "Export as"), this.exports),
      this.filters.element,
      this.count,
      this.list,
    );
    this.addEventListener("keydown", (event) => this.walk(event));
  }

  /** @param {import("./router.js").Route} route */
  show(route) {
    if (!this.filters) return;
    this.filters.take(route.query);
    void this.offer();
    // Calls end all the time; who comes back by the link of a call wants the list that was left.
    const query = String(this.filters.values());
    if (query !== this.asked) this.read();
  }

  async offer() {
    const found = await ask("GET", "/v1/flows").catch(() => ({ flows: [] }));
    this.filters?.offer(found.flows.map((/** @type {any} */ flow) => flow.name), (this.store?.trunks ?? []).map((trunk) => trunk.name));
  }

  changed() {
    if (!this.filters) return;
    this.filters.tell();
    const query = String(this.filters.values());
    history.replaceState(null, "", `#/history${query ? `?${query}` : ""}`);
    if (query !== this.asked) this.read();
  }

  read() {
    const { filters, list } = this;
    if (!filters || !list) return;
    const query = filters.values();
    this.asked = String(query);
    clearProblems(filters.element);
    for (const link of this.exports ?? []) {
      if (link.dataset.format) link.setAttribute("href", `/v1/history/export?${new URLSearchParams([...query, ["format", link.dataset.format]])}`);
    }
    const page = (/** @type {string} */ after) => ask("GET", `/v1/history?${new URLSearchParams([...query, ["limit", String(PAGE)], ...(after ? [["after", after]] : [])])}`);
    const refused = (/** @type {import("./api.js").Problem} */ problem) => {
      if (this.count) setText(this.count, "");
      if (problem.status !== 422 || !filters.fields[problem.field]) return false;
      filters.more.open ||= filters.more.contains(filters.fields[problem.field]);
      showProblem(filters.element, problem, filters.fields);
      fill(list);
      return true;
    };
    void this.ask(list, () => page(""), (first) => this.lay(first, page), refused);
  }

  /** @param {{calls: any[], next: string}} first @param {(after: string) => Promise<any>} page */
  lay(first, page) {
    const { list, filters } = this;
    if (!list || !filters) return;
    if (!first.calls.length) {
      const filtered = this.asked !== "" && this.asked !== `order=${filters.fields.order.value}`;
      if (this.count) setText(this.count, "");
      fill(list, filtered ? nothing("No call fits.", "Fewer filters find more; words may be beginnings.") : nothing("No call has ended yet.", "Each call stands here some moments after its end."));
      return;
    }
    const body = h("tbody", null);
    const more = /** @type {HTMLButtonElement} */ (h("button", { type: "button", class: "show-more" }, "Show more"));
    const place = h("div", null);
    let next = "";
    const add = (/** @type {{calls: any[], next: string}} */ found) => {
      body.append(...found.calls.map((call) => this.row(call)));
      next = found.next;
      more.hidden = !next;
      const n = body.children.length;
      if (this.count) setText(this.count, next ? `The first ${n} calls` : n === 1 ? "1 call" : `${n} calls`);
    };
    add(first);
    more.addEventListener("click", async () => {
      const asked = this.asked;
      more.disabled = true;
      const at = body.children.length;
      try {
        const found = await page(next);
        if (asked !== this.asked) return;
        add(found);
        fill(place);
        /** @type {HTMLElement | null} */ (body.children[at]?.querySelector("a"))?.focus();
      } catch (error) {
        fill(place, trouble(this.problem(error)));
      }
      more.disabled = false;
    });
    const heads = ["When", "Call", "Flow", "Length", "Ending", "Tags"];
    fill(list, h("div", { class: "panel" }, h("table", { class: "grid calls" }, h("thead", null, h("tr", null, heads.map((head) => h("th", null, head)))), body)), place, more);
  }

  /** @param {any} call */
  row(call) {
    const way = h("span", { class: "way", role: "img" });
    showWay(way, call);
    const ours = call.direction === "outbound" ? call.caller : call.called;
    const under = [ours, call.trunk && call.trunk !== "default" ? call.trunk : ""].filter(Boolean).join(" · ");
    return h(
      "tr",
      { "data-call": call.id },
      h("td", { class: "when" }, when(call.started_at)),
      h("th", { scope: "row" }, way, " ", h("a", { class: "whole", href: this.address(call.id) }, h("bdi", null, party(call))), h("span", { class: "quiet under" }, under)),
      h("td", { "data-label": "Flow" }, call.flow || "–"),
      h("td", { "data-label": "Length", class: "num" }, clock(call.duration_s), call.recording && h("span", { class: "recorded", role: "img", "aria-label": ", recorded", title: "recorded" })),
      h("td", { "data-label": "Ending" }, h("span", { class: "mark", "data-mark": toneOf(call.outcome) }, words(call.reason || call.outcome))),
      h("td", { class: "tags" }, call.tags.map((/** @type {string} */ tag) => h("span", { class: "tag" }, tag))),
    );
  }

  /** The address of a call, with the way back to this list. @param {string} id */
  address(id) {
    return `#/history/${encodeURIComponent(id)}${this.asked ? `?${this.asked}` : ""}`;
  }

  /** @param {string | undefined} id @param {number} scrolled */
  returnTo(id, scrolled) {
    const page = this.closest("va-history");
    if (page) page.scrollTop = scrolled;
    const row = [...this.querySelectorAll("tr[data-call]")].find((one) => one.getAttribute("data-call") === id);
    /** @type {HTMLElement | null | undefined} */ (row?.querySelector("a"))?.focus({ preventScroll: true });
  }

  /** Arrow keys walk the list. @param {KeyboardEvent} event */
  walk(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const links = /** @type {HTMLElement[]} */ ([...this.querySelectorAll("a.whole")]);
    const at = links.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const next = links[at + step];
    if (at < 0 || !next) return;
    event.preventDefault();
    next.focus();
  }
}
customElements.define("va-history-list", HistoryList);
