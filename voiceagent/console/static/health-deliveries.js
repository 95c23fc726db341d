// @ts-check
import { ask } from "./api.js";
import { fill, h, setText } from "./dom.js";
import { words } from "./format.js";
import { nothing, Section, select, trouble, when } from "./parts.js";

const PAGE = 30;
/** @type {Record<string, string>} */
const TONES = { delivered: "on", waiting: "warn", dead: "bad", on: "on", failing: "bad", paused: "warn", disabled: "bad" };
const STATES = ["dead", "waiting", "delivered"];

/** Outgoing webhooks: who is told, what was not delivered, and a way to try it again. */
class HealthDeliveries extends Section {
  draw() {
    this.state = select([["", "all"], ...STATES.map((one) => /** @type {[string, string]} */ ([one, one]))], { "aria-label": "State of deliveries", onchange: () => this.show() });
    this.ends = h("div", null);
    this.list = h("div", null);
    fill(this, h("section", { class: "panel", "aria-label": "Webhooks" }, h("h3", { class: "line" }, "Webhooks", this.state), this.ends, this.list));
  }

  show() {
    const { list } = this;
    this.paged = false;
    if (list) void this.ask(list, () => this.page(), (found) => this.lay(found));
  }

  /** Looked at again by itself, unless somebody is at it. */
  refresh() {
    if (!this.paged && !this.contains(document.activeElement)) this.show();
  }

  /** @param {number | null} [before] */
  page(before) {
    const query = new URLSearchParams({ limit: String(PAGE) });
    if (this.state?.value) query.set("state", this.state.value);
    if (before) query.set("before", String(before));
    return ask("GET", `/v1/deliveries?${query}`);
  }

  /** @param {any} found */
  lay(found) {
    const { list, ends, state } = this;
    if (!list || !ends || !state) return;
    for (const option of state.options) setText(option, option.value ? `${option.value} ${found.counts[option.value] ?? 0}` : "all");
    fill(
      ends,
      found.endpoints.length > 0 &&
        h(
          "ul",
          { class: "entries" },
          found.endpoints.map((/** @type {any} */ end) =>
            h(
              "li",
              null,
              h("b", null, h("bdi", null, end.name)),
              h("span", { class: "mark", "data-mark": TONES[end.state] ?? "off" }, end.state),
              h("span", { class: "quiet under" }, [end.url, end.events.join(", "), end.last_error].filter(Boolean).join(" · ")),
            ),
          ),
        ),
    );
    if (!found.deliveries.length) {
      if (state.value) fill(list, nothing(`No delivery is ${state.value}.`));
      else if (found.endpoints.length) fill(list, nothing("Nothing has been sent yet."));
      else fill(list, nothing("Nobody is told of calls.", "Name receivers under “webhooks” in the settings."));
      return;
    }
    const body = h("tbody", null, found.deliveries.map((/** @type {any} */ one) => this.row(one)));
    const more = /** @type {HTMLButtonElement} */ (h("button", { type: "button", class: "show-more" }, "Older"));
    const place = h("div", null);
    let next = found.next;
    more.hidden = next === null;
    more.addEventListener("click", async () => {
      more.disabled = true;
      this.paged = true;
      try {
        const older = await this.page(next);
        body.append(...older.deliveries.map((/** @type {any} */ one) => this.row(one)));
        next = older.next;
        more.hidden = next === null;
        fill(place);
      } catch (error) {
        fill(place, trouble(this.problem(error)));
      }
      more.disabled = false;
    });
    const heads = ["When", "Event", "State", "Tries"];
    fill(
      list,
      h("table", { class: "grid" }, h("thead", null, h("tr", null, heads.map((head) => h("th", null, head)), h("th", null, h("span", { class: "visually-hidden" }, "Retry")))), body),
      place,
      more,
    );
  }

  /** @param {any} one */
  row(one) {
    const row = h("tr", null);
    this.fillRow(row, one);
    return row;
  }

  /** @param {HTMLElement} row @param {any} one */
  fillRow(row, one) {
    const problem = h("span", { class: "problem", role: "alert" });
    const retry = h("button", { type: "button", class: "small", "aria-label": `Retry delivery ${one.n}` }, "Retry");
    retry.addEventListener("click", async () => {
      retry.setAttribute("disabled", "");
      try {
        this.fillRow(row, await ask("POST", `/v1/deliveries/${encodeURIComponent(one.n)}/retry`));
      } catch (error) {
        const { message, remedy } = this.problem(error);
        setText(problem, [message, remedy].filter(Boolean).join(" "));
        retry.removeAttribute("disabled");
      }
    });
    const due = one.state === "waiting" ? ["next ", when(one.next_at)] : one.ended_at === null ? [] : [when(one.ended_at)];
    const said = one.state === "delivered" ? "" : one.error;
    fill(
      row,
      h("td", { "data-label": "When" }, when(one.created_at)),
      h("td", { "data-label": "Event" }, h("span", null, one.type), h("span", { class: "quiet under" }, h("bdi", null, one.endpoint), one.call_id && [" · ", h("a", { href: `#/history/${encodeURIComponent(one.call_id)}` }, "call")])),
      h("td", { "data-label": "State" }, h("span", { class: "mark", "data-mark": TONES[one.state] ?? "off" }, words(one.state)), h("span", { class: "quiet under" }, due, said && h("span", { class: "said-error" }, said)), problem),
      h("td", { "data-label": "Tries", class: "num" }, one.attempts),
      h("td", { class: "acts" }, one.state === "dead" && this.may("manage") && retry),
    );
  }
}
customElements.define("va-health-deliveries", HealthDeliveries);
